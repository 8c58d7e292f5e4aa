# services.recipe-sweep.temporal and .postgresql: a Temporal server on this host, for the worker alone.
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
  inherit (cfg) package settings;
  inherit (config.services) temporal postgresql;

  # Containers reach every address of this host but loopback.
  loopback = "127.0.0.1";
  postgresPort = toString postgresql.settings.port;

  # The ports are those that Temporal's documentation has, so that doctor knows them.
  rpc = grpcPort: membershipPort: {
    rpc = {
      inherit grpcPort membershipPort;
      bindOnLocalHost = true;
    };
  };

  # Each is a database with a user of its own of the same name, and the folder of its schema.
  stores = {
    temporal = "temporal";
    temporal_visibility = "visibility";
  };

  # Of both kinds of database: one per store, and few connections.
  sqlStore = sql: {
    sql = {
      connectProtocol = "tcp";
      maxConns = 20;
      maxIdleConns = 20;
      maxConnLifetime = "1h";
    }
    // sql;
  };
  inPostgres =
    name:
    sqlStore {
      pluginName = "postgres12";
      databaseName = name;
      user = name;
      # Whoever is on this host is let in, as at the Temporal server itself, which asks nobody.
      password = "";
      connectAddr = "${loopback}:${postgresPort}";
    };
  inFile =
    name:
    sqlStore {
      pluginName = "sqlite";
      databaseName = "${temporal.dataDir}/${name}.db";
      # Nobody is asked there, but the server refuses a configuration without it.
      connectAddr = "localhost";
      # SQLite has one writer.
      maxConns = 1;
      maxIdleConns = 1;
      connectAttributes = {
        mode = "rwc";
        cache = "private";
        # The server makes the tables where there are none.
        setup = "true";
        # What it was told is on the disk before it says so, also when the power goes.
        journal_mode = "wal";
        synchronous = "2";
      };
    };

  # Looks before it acts, and brings the schema to that of the server's package.
  schema = pkgs.writeShellScript "recipe-sweep-temporal-schema" (
    ''
      set -eu
    ''
    + lib.concatStrings (
      lib.mapAttrsToList (name: folder: ''
        tool() {
          ${temporal.package}/bin/temporal-sql-tool --plugin postgres12 \
            --ep ${loopback} --port ${postgresPort} --user ${name} --database ${name} "$@"
        }
        there=$(
          ${postgresql.package}/bin/psql --no-psqlrc --tuples-only --no-align \
            --host ${loopback} --port ${postgresPort} --username ${name} --dbname ${name} \
            --command "select to_regclass('schema_version')"
        )
        if [ -z "$there" ]; then tool setup-schema --version 0.0; fi
        tool update-schema --schema-dir ${temporal.package}/share/schema/postgresql/v12/${folder}/versioned
      '') stores
    )
  );
in
{
  options.services.recipe-sweep = {
    temporal.enable = mkOption {
      type = types.bool;
      default = false;
      description = "Whether this host has a Temporal server of its own, on loopback, with its namespace.";
    };
    postgresql.enable = mkOption {
      type = types.bool;
      default = false;
      description = "Whether that server keeps its data in PostgreSQL on this host, instead of an SQLite file.";
    };
  };

  config = mkIf cfg.enable (mkMerge [
    {
      assertions = [
        {
          assertion = !cfg.postgresql.enable || cfg.temporal.enable;
          message = "services.recipe-sweep.postgresql is where its Temporal server keeps data: set temporal.enable too";
        }
        {
          assertion =
            !cfg.temporal.enable || (settings.temporal.tls == null && settings.temporal.apiKeyFile == null);
          message = "services.recipe-sweep.temporal.enable is a server on loopback, without TLS and keys: leave settings.temporal.tls, apiKeyFile and secrets out";
        }
      ];
    }

    (mkIf cfg.temporal.enable {
      services.recipe-sweep.settings.temporal.address = mkDefault "${loopback}:7233";

      services.temporal = {
        enable = true;
        settings = {
          log = {
            stdout = true;
            level = "warn";
          };
          services = {
            frontend = rpc 7233 6933;
            history = rpc 7234 6934;
            matching = rpc 7235 6935;
            worker = rpc 7239 6939;
          };
          persistence = {
            defaultStore = "temporal";
            visibilityStore = "temporal_visibility";
            # Never changed again. One host's workflows are few; four keep two processors busy.
            numHistoryShards = 4;
            datastores = lib.mapAttrs (
              name: _: if cfg.postgresql.enable then inPostgres name else inFile name
            ) stores;
          };
          clusterMetadata = {
            enableGlobalNamespace = false;
            failoverVersionIncrement = 10;
            masterClusterName = "active";
            currentClusterName = "active";
            clusterInformation.active = {
              enabled = true;
              initialFailoverVersion = 1;
              rpcName = "frontend";
              rpcAddress = "${loopback}:7233";
            };
          };
        };
      };

      # Tried until its database is there, however long that takes.
      systemd.services.temporal = {
        unitConfig.StartLimitIntervalSec = 0;
        serviceConfig.RestartSec = "5";
      };

      # Before the worker and the schedule, which want the namespace. It waits for the server.
      systemd.services.recipe-sweep-namespace = {
        description = "Temporal namespace of recipe-sweep";
        # Wanted, not required: what depends on a unit that failed is not started again when that is.
        wantedBy = [ "recipe-sweep.service" ];
        before = [ "recipe-sweep.service" ];
        wants = [ "temporal.service" ];
        after = [ "temporal.service" ];
        serviceConfig = {
          Type = "oneshot";
          RemainAfterExit = true;
          ExecStart = "${package}/bin/recipe-sweep namespace ensure --config /etc/recipe-sweep/recipe-sweep.yml";
          Restart = "on-failure";
          RestartSec = "10";
        };
      };
    })

    (mkIf (cfg.temporal.enable && cfg.postgresql.enable) {
      services.postgresql = {
        enable = true;
        ensureDatabases = lib.attrNames stores;
        ensureUsers = map (name: {
          inherit name;
          ensureDBOwnership = true;
        }) (lib.attrNames stores);
        authentication = lib.concatMapStrings (name: "host ${name} ${name} ${loopback}/32 trust\n") (
          lib.attrNames stores
        );
      };

      systemd.services.recipe-sweep-temporal-schema = {
        description = "schema of Temporal's databases";
        wantedBy = [ "temporal.service" ];
        before = [ "temporal.service" ];
        wants = [ "postgresql.service" ];
        # The target, where there is one, comes after the databases and users were made.
        after = [
          "postgresql.service"
          "postgresql.target"
        ];
        serviceConfig = {
          Type = "oneshot";
          RemainAfterExit = true;
          ExecStart = schema;
          # It needs no more than the database.
          DynamicUser = true;
          Restart = "on-failure";
          RestartSec = "5";
        };
      };
    })
  ]);
}
