# The worker, and the command: everything that a sweep calls, in one image. docker-compose.yml says how it is run.

ARG NODE=node:20.20.2-trixie-slim

# What doctor asks for, and what recipes name in `tools`. A docker client speaks to the host's engine; there is none in here.
FROM ${NODE} AS tools
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
      bash \
      ca-certificates \
      chromium-headless-shell \
      curl \
      docker-cli \
      findutils \
      git \
      git-lfs \
      jq \
      openssh-client \
      openssl \
      tar \
      tini \
      util-linux \
      zstd \
 && rm -rf /var/lib/apt/lists/*

# Where mirrors are reached over ssh: keys are the operator's files, and root's home is the container's.
RUN printf '%s\n' \
      'IdentityFile /etc/recipe-sweep/ssh/id_ed25519' \
      'UserKnownHostsFile /etc/recipe-sweep/ssh/known_hosts' \
      >/etc/ssh/ssh_config.d/recipe-sweep.conf

# Only what the lock file says. Not `npm ci`, which wants the packages of every platform in it.
FROM ${NODE} AS packages
WORKDIR /opt/recipe-sweep
COPY package.json package-lock.json ./
RUN npm install --no-save --ignore-scripts --no-audit --no-fund --loglevel=error

FROM packages AS build
COPY . .
RUN npm run build && npm prune --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error

FROM tools
LABEL org.opencontainers.image.title="recipe-sweep" \
      org.opencontainers.image.licenses="AGPL-3.0-or-later"
# doctor looks whether what must be the host's is mounted.
ENV RECIPE_SWEEP_CONTAINER=1
WORKDIR /opt/recipe-sweep
COPY --from=build /opt/recipe-sweep/package.json /opt/recipe-sweep/LICENSE /opt/recipe-sweep/recipe-sweep.example.yml ./
COPY --from=build /opt/recipe-sweep/node_modules node_modules
COPY --from=build /opt/recipe-sweep/bin bin
COPY --from=build /opt/recipe-sweep/deploy deploy
COPY --from=build /opt/recipe-sweep/docs docs
COPY --from=build /opt/recipe-sweep/recipes recipes
COPY --from=build /opt/recipe-sweep/dist dist
RUN ln -s /opt/recipe-sweep/bin/recipe-sweep /usr/local/bin/recipe-sweep
# Waits for the orphans of commands, which node does not; also where process 1 is the host's.
ENTRYPOINT ["tini", "-s", "--", "recipe-sweep"]
CMD ["worker"]
