# Two stages: wheels are installed by hash in the first, the second has neither pip's cache nor a compiler.
FROM python:3.13.5-slim-bookworm AS build
WORKDIR /src
COPY requirements/run.lock requirements/run.lock
RUN python -m venv /opt/ticket-bridge \
 && /opt/ticket-bridge/bin/pip install --no-cache-dir --require-hashes -r requirements/run.lock
COPY pyproject.toml README.md LICENSE ./
COPY bridge bridge
RUN /opt/ticket-bridge/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.13.5-slim-bookworm
RUN useradd --system --uid 10025 --home-dir /var/lib/ticket-bridge --create-home --shell /usr/sbin/nologin ticket-bridge \
 && chmod 0700 /var/lib/ticket-bridge
COPY --from=build /opt/ticket-bridge /opt/ticket-bridge
USER 10025
ENV BRIDGE_LISTEN=0.0.0.0:8025 \
    BRIDGE_SPOOL_URL=sqlite:////var/lib/ticket-bridge/spool.db
VOLUME /var/lib/ticket-bridge
EXPOSE 8025
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s CMD ["/opt/ticket-bridge/bin/python", "-c", "import smtplib; smtplib.SMTP('127.0.0.1', 8025, timeout=4).noop()"]
ENTRYPOINT ["/opt/ticket-bridge/bin/ticket-bridge"]
CMD ["serve"]
