{
  description = "Proves Co-op Cloud recipe releases on a real swarm, weekly, and keeps a canonical of each.";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      forEachSystem =
        make:
        lib.genAttrs [
          "x86_64-linux"
          "aarch64-linux"
        ] (system: make nixpkgs.legacyPackages.${system});
    in
    {
      packages = forEachSystem (pkgs: rec {
        recipe-sweep = pkgs.callPackage ./nix/package.nix { };
        default = recipe-sweep;
      });

      overlays.default = final: _: { recipe-sweep = final.callPackage ./nix/package.nix { }; };

      nixosModules = rec {
        recipe-sweep = ./nix/module.nix;
        default = recipe-sweep;
      };

      # `nix flake check` builds the package, and has a virtual machine sweep-ready.
      checks = forEachSystem (pkgs: {
        package = self.packages.${pkgs.stdenv.hostPlatform.system}.default;
        vm = pkgs.testers.runNixOSTest ./nix/test.nix;
      });
    };
}
