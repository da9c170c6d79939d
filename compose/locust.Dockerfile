# Locust with the scenarios, for its master and workers. Like targets/Dockerfile, it is built at the top of the project,
# from `wheels/` if that exists.
ARG BASE=python:3.11-slim

FROM ${BASE} AS parts
LABEL session-harness.stage=locust
COPY compose/requirements.txt wheel[s] /wheels/
RUN if ls /wheels/pip-*.whl >/dev/null 2>&1; \
    then PYTHONPATH="$(ls /wheels/pip-*.whl)" python3 -m pip install --no-index --find-links=/wheels \
        --target=/opt/parts -r /wheels/requirements.txt; \
    else python3 -m pip install --no-cache-dir --target=/opt/parts -r /wheels/requirements.txt; fi

FROM ${BASE}
COPY --from=parts /opt /opt
COPY harness /opt/harness/harness
COPY targets /opt/harness/targets
COPY scenarios /opt/harness/scenarios
ENV PYTHONPATH=/opt/parts:/opt/harness PYTHONUNBUFFERED=1
WORKDIR /opt/harness
ENTRYPOINT ["/bin/sh", "-c"]
