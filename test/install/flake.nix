# What flake.nix hands out, each as the file that it is made of.
let
  genAttrs =
    names: make:
    builtins.listToAttrs (
      map (name: {
        inherit name;
        value = make name;
      }) names
    );
  pkgs = system: {
    callPackage = file: _: toString file;
    testers.runNixOSTest = toString;
    stdenv.hostPlatform = { inherit system; };
  };
  outputs = (import ../../flake.nix).outputs {
    self = outputs;
    nixpkgs = {
      lib = { inherit genAttrs; };
      legacyPackages = genAttrs [
        "x86_64-linux"
        "aarch64-linux"
      ] pkgs;
    };
  };
in
{
  inherit (outputs) packages checks;
  overlay = outputs.overlays.default (pkgs "x86_64-linux") { };
  modules = builtins.mapAttrs (_: toString) outputs.nixosModules;
}
