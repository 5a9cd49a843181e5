"""The small words of eleven languages around a keyword: what links, what forbids, what is no value."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


COPULAS = _words(
    """
    is are was be now equals to set changed has been will är var blev blir blivit nu till satt satte sattes
    ändrat ändrade ändrats bytte bytt bytts lyder heter er ble nå til endret endra byttet sat ændret skiftet
    hedder on oli nyt vaihdoin vaihdettu muutin kuuluu ist war lautet jetzt nun auf geändert gesetzt zu wäre
    heißt heisst luidt naar gewijzigd veranderd in gezet wordt werd est était c'est maintenant désormais à en
    devient changé mis es era ahora a por cambiado cambié cambiada será es: è adesso ora cambiata cambiato
    impostata impostato sarà e' jest brzmi było teraz na zmienione zmieniłem zmieniłam ustawiłem ustawiłam
    ustawione
    """
)
"""Words that say that the value follows."""

WITH = _words("with med mit met avec con z kanssa ja")
"""Words that introduce a password right in front of its keyword: "log in with the password X"."""

ARTICLES = _words("the my our a dem das den meinem la le mon ma het de il lo el mi den mitt min")

BUT = _words(
    "but men aber mais pero ma ale maar mutta because weil fordi eftersom när when if wenn si se jeśli jos kun als czy"
)
"""Words that begin another clause."""

BEING = _words("is was är var er oli ist war est c'est était es era è jest")
"""Verbs of being among them, behind which a plain word may be the value."""

STATES = _words(
    """
    yes error errors failure problem issue please urgent case-sensitive sensitive different unique simple complex easy
    known plain visible empty gone back olika känd annorlunda känslig forskjellig ukjent kendt anderledes eri tuttu
    bekannt unterschiedlich einfach bekend anders différent simple connu diferente igual conocida diversa semplice nota
    inny inne proste znane always only still also both either neither optional somewhere nowhere elsewhere together
    sometimes often usually probably maybe perhaps exactly really already ever even ja nej nein oui non sí si tak nie
    expired wrong incorrect invalid correct valid not no never reset resetting changed missing empty blank
    required optional unknown forgotten lost stolen compromised protected accepted rejected refused denied
    failed failing sent below above attached following hidden encrypted hashed here there same mine working
    right okay fine weak strong safe secure insecure too long short old new temporary default unchanged
    available stored saved visible shown needed disabled enabled blocked locked protection policy manager
    field change recovery prompt update fel felaktigt felaktig ogiltigt ogiltig glömt borta utgånget gammalt
    nytt samma rätt korrekt inte ej aldrig krävs obligatoriskt okänt bytt ändrat återställt skickat skyddat
    tomt sparat svagt starkt säkert osäkert giltigt nedan feil ugyldig glemt utløpt gammelt samme riktig ikke
    aldri påkrevd ukjent endret tilbakestilt sendt forkert forkerte ugyldigt udløbet gammel rigtig nulstillet
    ukendt väärä väärin virheellinen unohtunut vanhentunut vanha uusi sama oikein oikea ei vaaditaan
    pakollinen tuntematon falsch ungültig vergessen abgelaufen alt neu gleich richtig nicht kein nie
    erforderlich unbekannt geändert zurückgesetzt gesendet leer gespeichert schwach stark sicher unsicher
    gültig unten fout onjuist ongeldig vergeten verlopen oud nieuw hetzelfde juist niet geen nooit verplicht
    onbekend gewijzigd verzonden leeg opgeslagen zwak sterk veilig onveilig geldig verkeerd kwijt faux fausse
    invalide oublié perdu expiré ancien nouveau même bon pas jamais requis obligatoire inconnu modifié
    réinitialisé envoyé vide enregistré faible fort sûr valide erroné refusé incorrecta incorrecto inválida
    olvidada perdida caducada vieja nueva misma correcta nunca obligatoria desconocida cambiada enviada vacía
    guardada débil fuerte segura válida errónea caducado expirado errata errato sbagliata scaduta scaduto
    dimenticata persa vecchia nuova stessa corretta non mai obbligatoria sconosciuta cambiata inviata vuota
    salvata debole forte sicura valida błędne nieprawidłowe złe zapomniane wygasło stare nowe samo poprawne
    nigdy wymagane nieznane zmienione wysłane puste zapisane słabe silne bezpieczne ważne
    """
)
"""Words that say something about a secret and are none."""

FORBIDDING = _words(
    """
    contain contains minimum maximum least characters character length letters digits uppercase lowercase
    between longer shorter requirements rules policy innehålla tecken minst siffror bokstäver versaler längre
    kortare mellan krav inneholde tegn sifre siffer bokstaver indeholde mindst cifre bogstaver tal merkkiä
    vähintään sisältää sisällettävä numeroa kirjaimia zeichen mindestens enthalten ziffern buchstaben länger
    zwischen tekens minimaal minstens bevatten cijfers langer tussen caractères moins contenir chiffres
    lettres minuscule majuscule entre caracteres menos contener dígitos letras mayúsculas mínimo caratteri
    almeno contenere lettere maiuscole minimo znaków najmniej zawierać cyfr cyfry liter litery
    """
)
"""Words after which a statement speaks of rules for secrets, not of one."""

AS = _words(
    """
    as is för som är er on ist als est comme es como è come to jest jako de di
    """
)
"""Words between a value and the keyword that names it: "use X as password", "X är lösenordet"."""

NEGATING = _words(
    """
    forgot forgotten forget glömt glemt unohdin unohtunut vergessen vergeten oublié olvidado olvidada
    dimenticato dimenticata zapomniałem zapomniałam
    """
)
"""Words after which no value of the keyword follows."""

FOR = _words("for för till til für zum voor pour para per dla do")
"""Words between a value and what it is used for: "use X for the mailbox password"."""

USING = _words(
    """
    use using used enter type set put använd använder använt bruk bruker brukt brug bruger käytä käytän käytin nimm
    nutze nutzt nutzen verwende verwenden verwendet gebruik gebruikt utilise utilisez utiliser mets usa usad usar uso
    usate usare użyj używam wpisz wpisuję
    """
)
"""Words in front of a value that is used as something."""

THAT = _words("that's thats that this which det detta dette das dies dat dit c'est ça eso esa esto questa quella to")
"""Words that point back over the end of a sentence: "X. That's the password."."""

ANSWER = _words("answer svar svaret vastaus antwort antwoord réponse respuesta risposta odpowiedź")
"""Words between a question and its answer."""

RELATIVE = _words("which that som der die das den dem joka wat welk welke qui que che który która które")
"""Words that go on about a secret that was named: "the password, which is X"."""

NUMBERED = _words(
    """
    ticket order invoice case customer phone call number no nr nr. tel ring ring: ärende ärendenummer order faktura
    kundnummer sak saksnummer sag sagsnummer ordre lasku tilaus asiakasnumero rechnung bestellung kundennummer vorgang
    telefon factuur bestelling klantnummer facture commande client factura pedido cliente fattura ordine faktura
    zamówienie klienta numer numero número numéro nummer line version build id ref reference port
    """
)
"""Words in front of a number that is no code."""

TECHNICAL = _words(
    """
    hosting server vps web pro ssd paket plan package backup export import rechnung invoice faktura kunde customer
    client order ticket mail email wordpress plesk cpanel windows ubuntu debian linux mysql mariadb php apache nginx
    version release update test dev prod stage staging node host cluster rack switch router basic premium business
    starter standard cloud site domain office exchange outlook iphone galaxy samsung firefox chrome safari screenshot
    bild image img scan dokument document report rapport log
    ctrl alt shift strg cmd option tab esc error code fehler fel rev draft copy kopie final
    """
)
"""Parts of names of products, machines and files, which look like a password of words."""

AND = _words(
    """
    and och og ja und en et y e i with med mit met avec con z then sen dann dan puis så
    """
)
"""Words between a user name and its password."""

FUNCTION_WORDS = _words(
    """
    the and for you are was were not but with that this from have has had can could would should will about
    been any more thank asking rather lost our your his her their them they what when where which who why how
    than then into over just some only also very much here there please because while after before again its
    did does
    """
)
"""English words that every sentence holds and no seed phrase does (BIP 39's list leaves most of them out)."""

REMARKS = _words(
    """
    i we you he she it they see is are was were my your not no yes don't can't as the_same again please ask
    will sent send jag vi du ni har se inte nej skickas kommer ring på_telefon jeg dere ikke sendes en ei on
    katso lähetän minä ich wir sie habe siehe nicht kommt wird per ik wij zie niet komt volgt je nous vous
    voir pas envoyé par por teléfono yo ver se_lo io non vedi via ja nie patrz zob
    """
)
"""Words of a remark that stands where a passphrase could stand."""

OTHER_CODES = _words(
    """
    error exit status return response http post postal zip area country product promo discount coupon source bar qr
    swift sort dress color colour colur reason error-code order item article sku invoice customer tracking flight
    fel fel- felkod feil feilkode fejl virhe virhekoodi fehler foutcode fout d'erreur erreur error errore błędu błąd
    public öffentlicher öffentliche publique pública pubblica publiczny publik offentlig julkinen openbare primary
    foreign host site registry unique index cache sort short-cut
    rabatt kampanj kampanje rabat alennus gutschein kortings promo promotionnel descuento sconto rabatowy
    postnummer riktnummer land pays país paese kraju
    """
)
"""Words in front of "code" that make it none of ours."""

NAMING = _words("lautet lauten heißt heisst lyder heter hedder luidt brzmi kuuluu := named called")
"""Links that a value follows, never a remark about one."""
