# What nix/package.nix hands to nixpkgs: what it is built of, and where its npm packages come from.
let
  lib = import ./nixpkgs-lib.nix // {
    importJSON = file: builtins.fromJSON (builtins.readFile file);
    last = list: builtins.elemAt list (builtins.length list - 1);
    getLib = package: package;
    licenses.agpl3Plus = "AGPL-3.0-or-later";
    fileset = {
      unions = map toString;
      toSource = { fileset, ... }: fileset;
    };
  };
in
import ../../nix/package.nix {
  inherit lib;
  stdenv = {
    cc.cc = "gcc";
    hostPlatform.parsed.cpu.name = "x86_64";
  };
  autoPatchelfHook = "auto-patchelf-hook";
  nodejs = "nodejs";
  importNpmLock = {
    __functor = _: sources: sources;
    npmConfigHook = "import-npm-lock-hook";
  };
  buildNpmPackage = package: {
    inherit (package) pname version src;
    inherit (package.npmDeps.packageLock) packages;
  };
}
