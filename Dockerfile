# The harness itself, with HAProxy, nginx and Valkey: replicas, balancer, store and load run inside one container.
#
#     docker build -t session-harness-cli .
#     docker run --rm -v "$PWD:/project" session-harness-cli run scenario.py
FROM python:3.11-slim
COPY pyproject.toml README.md LICENSE /source/
COPY harness /source/harness
COPY targets /source/targets
COPY scenarios /source/scenarios
RUN python3 -m pip install --no-cache-dir /source && rm -r /source \
    && useradd --create-home harness && mkdir /project && chown harness /project
USER harness
WORKDIR /project
ENTRYPOINT ["harness"]
CMD ["--help"]
