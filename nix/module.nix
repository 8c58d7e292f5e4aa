# services.recipe-sweep: the worker, its configuration and its schedule, and serve. docs/nixos.md says how it is used.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib)
    mkDefault
    mkIf
    mkMerge
    mkOption
    types
    ;

  cfg = config.services.recipe-sweep;
  command = "${cfg.package}/bin/recipe-sweep";

  # JSON is YAML. What was left out is no key of the file.
  withoutNulls =
    value:
    if builtins.isAttrs value then
      lib.mapAttrs (_: withoutNulls) (lib.filterAttrs (_: one: one != null) value)
    else if builtins.isList value then
      map withoutNulls value
    else
      value;
  settingsJson = builtins.toJSON (withoutNulls cfg.settings);
  # What the command would refuse is refused here, all at once, when the system is built.
  checked =
    name: json:
    pkgs.runCommand "${name}.yml" { } ''
      cp ${pkgs.writeText "${name}.json" json} recipe-sweep.yml
      ${command} config check --config recipe-sweep.yml
      cp recipe-sweep.yml $out
    '';
  configFile = checked "recipe-sweep" settingsJson;
  # The same, with the credentials where its own unit has them.
  serveConfigFile = checked "recipe-sweep-serve" (
    builtins.replaceStrings [ (handedOver "") ] [ "/run/credentials/recipe-sweep-serve.service/" ] settingsJson
  );

  # What holds for each unit on every host; the files say why of each line.
  settingsIn =
    file:
    lib.listToAttrs (
      map ({ name, value, ... }: lib.nameValuePair name value) (builtins.fromJSON (builtins.readFile file))
    );

  # Every program that host/config/environment.ts and `tools` of the recipes name, and what hooks and checks are written with.
  programs = [
    config.virtualisation.docker.package
    pkgs.bash
    pkgs.coreutils
    pkgs.curl
    pkgs.diffutils
    pkgs.findutils
    pkgs.gawk
    pkgs.git
    pkgs.git-lfs
    pkgs.gnugrep
    pkgs.gnused
    pkgs.gnutar
    pkgs.gzip
    pkgs.hostname
    pkgs.jq
    pkgs.nodejs
    pkgs.openssh
    pkgs.openssl
    pkgs.util-linux
    pkgs.zstd
  ];

  # By the name that systemd hands a secret over with: the option that names its file, and the key of the
  # configuration that names it to the worker.
  credentials = {
    forge-token = {
      option = "forgeToken";
      key = [
        "forge"
        "tokenFile"
      ];
    };
    webhook-secret = {
      option = "webhookSecret";
      key = [
        "serve"
        "webhookSecretFile"
      ];
    };
    keycloak-password = {
      option = "keycloakPassword";
      key = [
        "keycloak"
        "passwordFile"
      ];
    };
    temporal-api-key = {
      option = "temporalApiKey";
      key = [
        "temporal"
        "apiKeyFile"
      ];
    };
    temporal-ca = {
      option = "temporalCa";
      key = [
        "temporal"
        "tls"
        "ca"
      ];
    };
    temporal-cert = {
      option = "temporalCert";
      key = [
        "temporal"
        "tls"
        "cert"
      ];
    };
    temporal-key = {
      option = "temporalKey";
      key = [
        "temporal"
        "tls"
        "key"
      ];
    };
  };
  given = lib.filterAttrs (_: { option, ... }: cfg.secrets.${option} != null) credentials;
  # Where systemd puts them while the worker runs; root's commands find them there too.
  handedOver = name: "/run/credentials/recipe-sweep.service/${name}";

  loaded = lib.mapAttrsToList (name: { option, ... }: "${name}:${cfg.secrets.${option}}") given;

  # With a forge it does not start without a secret.
  canServe = cfg.settings.forge == null || cfg.settings.serve.webhookSecretFile != null;

  usualEngine = builtins.elem cfg.settings.docker.socket [
    "/run/docker.sock"
    "/var/run/docker.sock"
  ];
  # A worker without a swarm would answer ERROR of every recipe; this says what to type, and is tried again.
  swarmManager = pkgs.writeShellScript "recipe-sweep-swarm-manager" ''
    export DOCKER_HOST=unix://${cfg.settings.docker.socket}
    found=$(${config.virtualisation.docker.package}/bin/docker info --format '{{.Swarm.ControlAvailable}}') || exit 1
    if [ "$found" = true ]; then exit 0; fi
    echo 'this node is no swarm manager: docker swarm init --advertise-addr <address of this host>' >&2
    exit 1
  '';

  # Where all mirrors are, if they are folders of this host.
  mirrors = dirOf "${builtins.head (lib.splitString "{recipe}" cfg.settings.mirrors)}name";

  plainPath = path: builtins.match "/[A-Za-z0-9._/-]+" path != null;
in
{
  imports = [ ./temporal.nix ];

  options.services.recipe-sweep = {
    enable = mkOption {
      type = types.bool;
      default = false;
      description = "Whether this host proves releases of Co-op Cloud recipes, every week.";
    };
    package = mkOption {
      type = types.package;
      default = pkgs.callPackage ./package.nix { };
      defaultText = lib.literalExpression "pkgs.callPackage ./package.nix { }";
      description = "The recipe-sweep that is run.";
    };
    settings = mkOption {
      type = types.submodule { options = import ./options.nix { inherit lib; }; };
      description = "The configuration, as recipe-sweep.example.yml explains it.";
    };
    serve.enable = mkOption {
      type = types.bool;
      default = canServe;
      defaultText = lib.literalExpression "settings.forge == null || settings.serve.webhookSecretFile != null";
      description = "Whether this host shows the report site and the numbers for Prometheus at settings.serve.listen, and takes the webhook of a forge.";
    };
    tools = mkOption {
      type = types.listOf types.package;
      default = [ ];
      description = "Packages whose programs a sweep's commands find, beside those that every sweep needs.";
    };
    secrets = lib.mapAttrs' (
      name: { option, ... }:
      lib.nameValuePair option (mkOption {
        type = types.nullOr types.str;
        default = null;
        description = "A file on this host that root reads, which the worker and serve are given as the credential ${name}.";
      })
    ) credentials;
  };

  config = mkIf cfg.enable {
    assertions = [
      {
        assertion = !usualEngine || config.virtualisation.docker.enable;
        message = "services.recipe-sweep deploys on a docker engine: set virtualisation.docker.enable, or settings.docker.socket of another one";
      }
      {
        assertion = !usualEngine || !config.virtualisation.docker.liveRestore;
        message = "virtualisation.docker.liveRestore must be false: a docker engine in swarm mode does not start with it";
      }
      {
        # They stand in a unit, where other characters mean something.
        assertion = plainPath cfg.settings.state;
        message = "services.recipe-sweep.settings.state must be an absolute path of letters, digits, dots, dashes and underscores";
      }
      {
        # Relative paths start at the file's own folder, which is the Nix store.
        assertion = lib.hasPrefix "/" cfg.settings.recipes;
        message = "services.recipe-sweep.settings.recipes must be an absolute path, such as \"\${./recipes}\"";
      }
      {
        assertion = !cfg.serve.enable || canServe;
        message = "services.recipe-sweep.serve: with settings.forge it needs secrets.webhookSecret, without which anybody could ask for tests";
      }
      {
        assertion = lib.all (secret: secret == null || !(lib.hasPrefix builtins.storeDir secret)) (
          lib.attrValues cfg.secrets
        );
        message = "services.recipe-sweep.secrets: everybody can read a file of the Nix store; name one elsewhere, as a string";
      }
    ];

    services.recipe-sweep.settings = mkMerge (
      [
        {
          host = mkDefault config.networking.hostName;
          state = mkDefault "/var/lib/recipe-sweep";
          path = mkDefault (lib.makeBinPath (programs ++ cfg.tools));
        }
      ]
      ++ lib.mapAttrsToList (
        name: { key, ... }: lib.setAttrByPath key (mkDefault (handedOver name))
      ) given
    );

    # NixOS has it on, and an engine with it refuses to be in a swarm.
    virtualisation.docker.liveRestore = mkDefault false;

    environment = {
      systemPackages = [ cfg.package ];
      # Where the command looks when it is typed.
      etc."recipe-sweep/recipe-sweep.yml".source = configFile;
    };

    # As the worker and serve would make them.
    systemd.tmpfiles.rules = [
      "d ${cfg.settings.state} 0755 root root -"
    ]
    ++ lib.optional cfg.serve.enable "d ${cfg.settings.state}/serve 0755 root root -";

    systemd.services.recipe-sweep = {
      description = "recipe-sweep worker";
      wantedBy = [ "multi-user.target" ];
      wants = [ "network-online.target" ] ++ lib.optional usualEngine "docker.service";
      after = [ "network-online.target" ] ++ lib.optional usualEngine "docker.service";
      # Never on the empty folder below a disk that is not mounted yet.
      unitConfig.RequiresMountsFor = cfg.settings.state;
      serviceConfig = settingsIn ../client/service/worker-service.json // {
        Type = "exec";
        ExecStartPre = swarmManager;
        ExecStart = "${command} worker --config ${configFile}";
        # Homes are only read but for these; there or not, and wherever the engine has its volumes.
        ReadWritePaths = [
          "-${cfg.settings.state}"
          "-${config.virtualisation.docker.daemon.settings.data-root or "/var/lib/docker"}"
        ]
        ++ lib.optional (plainPath mirrors) "-${mirrors}";
        LoadCredential = loaded;
      };
    };

    systemd.services.recipe-sweep-serve = mkIf cfg.serve.enable {
      description = "recipe-sweep serve";
      wantedBy = [ "multi-user.target" ];
      wants = [ "network-online.target" ];
      after = [ "network-online.target" ];
      # Never on the empty folder below a disk that is not mounted yet.
      unitConfig.RequiresMountsFor = cfg.settings.state;
      serviceConfig = settingsIn ../client/service/serve-service.json // {
        Type = "exec";
        ExecStart = "${command} serve --config ${serveConfigFile}";
        ReadWritePaths = [ "-${cfg.settings.state}/serve" ];
        InaccessiblePaths = [ "-${cfg.settings.docker.socket}" ];
        LoadCredential = loaded;
      };
    };

    # After the worker, whose credentials it reads; systemd hides them from units with a file system of their own, so
    # it has none.
    systemd.services.recipe-sweep-schedule = {
      description = "weekly schedule of recipe-sweep";
      wantedBy = [ "multi-user.target" ];
      wants = [ "recipe-sweep.service" ];
      after = [ "recipe-sweep.service" ];
      serviceConfig = {
        Type = "oneshot";
        # So that it is made anew when the configuration has changed, and only then.
        RemainAfterExit = true;
        ExecStart = "${command} schedule ensure --config ${configFile}";
        # The server may be on another host, and down.
        Restart = "on-failure";
        RestartSec = "30";
      };
    };
  };
}
