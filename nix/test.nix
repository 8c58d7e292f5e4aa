# A virtual machine with everything on it, taken to where `recipe-sweep doctor` misses nothing.
{ pkgs, ... }:
let
  recipes = pkgs.writeTextDir "hedgedoc/recipe.yml" ''
    upstream: https://git.coopcloud.tech/coop-cloud/hedgedoc.git
  '';
in
{
  name = "recipe-sweep";

  nodes.machine = {
    imports = [ ./module.nix ];

    virtualisation = {
      docker.enable = true;
      diskSize = 20480;
      memorySize = 3072;
    };

    services.recipe-sweep = {
      enable = true;
      temporal.enable = true;
      postgresql.enable = true;
      settings = {
        zone = "ci.example.org";
        recipes = "${recipes}";
        mirrors = "/var/lib/mirrors/{recipe}.git";
        limits.headroom = "1GB";
      };
    };
  };

  testScript = ''
    machine.wait_for_unit("docker.service")

    with subtest("without a swarm the worker says what to type, and is tried again"):
        machine.wait_until_succeeds("journalctl -u recipe-sweep | grep 'docker swarm init'")

    machine.succeed("docker swarm init --advertise-addr 127.0.0.1")
    machine.succeed("docker network create --driver overlay --attachable proxy")

    with subtest("the server, its namespace, the worker and the schedule come up by themselves"):
        machine.wait_for_unit("temporal.service")
        machine.wait_for_unit("recipe-sweep-namespace.service")
        machine.wait_for_unit("recipe-sweep.service")
        machine.wait_for_unit("recipe-sweep-schedule.service")

    with subtest("nothing is missing"):
        machine.wait_until_succeeds("recipe-sweep doctor", timeout=120)

    with subtest("the report site is there, and shown"):
        machine.wait_until_succeeds("curl --fail --silent http://127.0.0.1:8080/ | grep hedgedoc", timeout=60)

    with subtest("and again after a restart of the machine"):
        machine.shutdown()
        machine.start()
        machine.wait_until_succeeds("recipe-sweep doctor", timeout=300)
  '';
}
