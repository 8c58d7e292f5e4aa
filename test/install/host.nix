# What a NixOS host comes to whose configuration is a file: the units, settings and assertions that nix/module.nix makes.
# Packages are folders below `store`, scripts and files are put into Nix's store.
{
  host,
  store,
}:
let
  lib = import ./nixpkgs-lib.nix;
  inherit (lib) mkOption types;

  named = name: {
    outPath = "${store}/${name}";
    inherit name;
  };
  pkgs = {
    bash = named "bash";
    coreutils = named "coreutils";
    curl = named "curl";
    diffutils = named "diffutils";
    findutils = named "findutils";
    gawk = named "gawk";
    git = named "git";
    git-lfs = named "git-lfs";
    gnugrep = named "gnugrep";
    gnused = named "gnused";
    gnutar = named "gnutar";
    gzip = named "gzip";
    hostname = named "hostname";
    jq = named "jq";
    nodejs = named "nodejs";
    openssh = named "openssh";
    openssl = named "openssl";
    util-linux = named "util-linux";
    zstd = named "zstd";
    chromium = named "chromium";

    callPackage = _: _: named "recipe-sweep";
    writeText = name: text: builtins.toFile name text;
    writeTextDir = name: text: "${store}/${builtins.hashString "sha256" text}";
    writeShellScript = name: text: builtins.toFile name "#!/bin/sh\n${text}";
    # Nothing is built here: in its place is how it would be.
    runCommand = name: _: text: builtins.toFile name text;
  };

  free = mkOption {
    type = types.anything;
    default = { };
  };
  # The options of NixOS that the module defines or asks for.
  nixos.options = {
    assertions = mkOption {
      type = types.listOf types.anything;
      default = [ ];
    };
    networking.hostName = mkOption {
      type = types.str;
      default = "nixos";
    };
    virtualisation.docker = {
      enable = mkOption {
        type = types.bool;
        default = false;
      };
      liveRestore = mkOption {
        type = types.bool;
        default = true;
      };
      package = mkOption {
        type = types.package;
        default = named "docker";
      };
      daemon.settings = free;
    };
    # Of virtual machines.
    virtualisation.diskSize = free;
    virtualisation.memorySize = free;
    environment = {
      systemPackages = mkOption {
        type = types.listOf types.package;
        default = [ ];
      };
      etc = free;
    };
    systemd = {
      services = free;
      tmpfiles.rules = mkOption {
        type = types.listOf types.str;
        default = [ ];
      };
    };
    services = {
      temporal = {
        enable = mkOption {
          type = types.bool;
          default = false;
        };
        settings = free;
        dataDir = mkOption {
          type = types.str;
          default = "/var/lib/temporal";
        };
        package = mkOption {
          type = types.package;
          default = named "temporal";
        };
      };
      postgresql = {
        enable = mkOption {
          type = types.bool;
          default = false;
        };
        settings.port = mkOption {
          type = types.int;
          default = 5432;
        };
        package = mkOption {
          type = types.package;
          default = named "postgresql";
        };
        authentication = mkOption {
          type = types.lines;
          default = "";
        };
        ensureDatabases = mkOption {
          type = types.listOf types.str;
          default = [ ];
        };
        ensureUsers = free // {
          default = [ ];
        };
      };
    };
  };

  config = lib.evalModules {
    modules = [
      nixos
      ../../nix/module.nix
      (import host)
    ];
    arguments = { inherit lib pkgs; };
  };

  withoutNulls =
    value:
    if builtins.isAttrs value then
      builtins.mapAttrs (_: withoutNulls) (lib.filterAttrs (_: one: one != null) value)
    else if builtins.isList value then
      map withoutNulls value
    else
      value;
in
{
  inherit (config.systemd) services;
  tmpfiles = config.systemd.tmpfiles.rules;
  refused = map (each: each.message) (builtins.filter (each: !each.assertion) config.assertions);
  settings = lib.optionalAttrs config.services.recipe-sweep.enable (
    withoutNulls config.services.recipe-sweep.settings
  );
  temporal = config.services.temporal.settings;
  inherit (config.services.postgresql) authentication ensureDatabases ensureUsers;
}
