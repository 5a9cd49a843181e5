// The page works without this: it only asks before a mail is discarded, and keeps the overview fresh.
document.addEventListener("click", (event) => {
  const asks = event.target.closest("[data-confirm]");
  if (asks && !window.confirm(asks.dataset.confirm)) event.preventDefault();
});
if (location.pathname === "/") {
  setInterval(() => { if (document.visibilityState === "visible") location.reload(); }, 30000);
}
