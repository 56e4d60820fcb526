# syntax=docker/dockerfile:1
# The gateway's image: built on the Swift toolchain, run on a slim Debian with libevent, OpenSSL, libyaml and the CA certificates.
# Runs as uid 65532, needs no writable root file system; /var/lib/access-gateway keeps the last good key set.
#
#   docker build -t access-gateway .
#   docker run --read-only -e CF_TEAMS_DOMAIN=acme.cloudflareaccess.com -p 8000:8000 access-gateway

FROM docker.io/library/swift:6.3.1-bookworm AS build
RUN apt-get update -q \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends libevent-dev libnghttp2-dev libssl-dev libyaml-dev pkg-config \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Package.swift ./
COPY Sources Sources
COPY Tests Tests
COPY bench/Refusals bench/Refusals
# The Swift library goes into the binary, so the second stage needs no Swift.
RUN swift build -c release --static-swift-stdlib --product access-gateway \
    && install -D -m 0755 "$(swift build -c release --static-swift-stdlib --show-bin-path)/access-gateway" /out/access-gateway \
    && strip /out/access-gateway \
    && install -d -m 0700 /out/state

FROM docker.io/library/debian:bookworm-slim
RUN apt-get update -q \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
        ca-certificates libevent-2.1-7 libevent-core-2.1-7 libevent-extra-2.1-7 libevent-openssl-2.1-7 \
        libgcc-s1 libnghttp2-14 libssl3 libstdc++6 libyaml-0-2 \
    && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/*
COPY --from=build /out/access-gateway /usr/local/bin/access-gateway
# A library that is missing here fails the build and not the first start.
RUN ["/usr/local/bin/access-gateway", "--version"]
COPY --from=build --chown=65532:65532 /out/state /var/lib/access-gateway
ENV GATEWAY_STATE_DIR=/var/lib/access-gateway
VOLUME /var/lib/access-gateway
USER 65532:65532
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 CMD ["/usr/local/bin/access-gateway", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/access-gateway"]
CMD ["serve"]
