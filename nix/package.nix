# recipe-sweep as `npm run build` makes it, with Node and the npm packages that it runs on.
{
  lib,
  stdenv,
  autoPatchelfHook,
  buildNpmPackage,
  importNpmLock,
  nodejs,
}:
let
  manifest = lib.importJSON ../package.json;
  lock = lib.importJSON ../package-lock.json;

  # The lock file names no addresses, since it is written behind more than one registry. Those of npm's own registry
  # follow from a package's name and version, and the sums in the lock file say whether what comes is the same.
  addressOf =
    path: version:
    let
      name = lib.last (lib.splitString "node_modules/" path);
    in
    "https://registry.npmjs.org/${name}/-/${baseNameOf name}-${version}.tgz";
  withAddress =
    path: entry:
    if path == "" then entry else entry // { resolved = addressOf path entry.version; };
in
buildNpmPackage {
  pname = manifest.name;
  inherit (manifest) version;
  inherit nodejs;

  # What is built of, and what is shipped as it is; tests and set-up of machines are neither.
  src = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.unions [
      ../LICENSE
      ../activities
      ../alerts
      ../bin
      ../client
      ../deploy
      ../docs
      ../domain
      ../forge
      ../host
      ../metrics
      ../package-lock.json
      ../package.json
      ../recipe-sweep.example.yml
      ../recipes
      ../serve
      ../setup
      ../site
      ../tsconfig.build.json
      ../tsconfig.json
      ../worker
      ../workflows
    ];
  };

  # fetchNpmDeps fetches what has an address in the lock file, so nothing. This hook also installs with `npm install`,
  # where `npm ci` refuses a lock file without the packages of other platforms.
  npmDeps = importNpmLock {
    package = manifest;
    packageLock = lock // {
      packages = lib.mapAttrs withAddress lock.packages;
    };
  };
  inherit (importNpmLock) npmConfigHook;

  # Scripts of npm packages compile what is optional (cpu-features) or look for what is there already.
  npmRebuildFlags = [ "--ignore-scripts" ];

  # The workflow engine's core and the compiler of workflows are libraries that were linked on another Linux.
  nativeBuildInputs = [ autoPatchelfHook ];
  buildInputs = [ (lib.getLib stdenv.cc.cc) ];

  # Not `npm run build`: that would look whether the npm packages are those of the lock file, and ask for them.
  buildPhase = ''
    runHook preBuild
    node --import tsx setup/build.ts
    runHook postBuild
  '';

  # Not by `npm pack`, which would build once more.
  installPhase = ''
    runHook preInstall
    npm prune --omit=dev --no-save --ignore-scripts
    # The core for every platform is in the package; one is enough.
    find node_modules/@temporalio/core-bridge/releases -mindepth 1 -maxdepth 1 \
      ! -name '${stdenv.hostPlatform.parsed.cpu.name}-unknown-linux-gnu' -exec rm -r {} +
    mkdir -p $out/lib/recipe-sweep $out/bin
    cp -r LICENSE bin deploy dist docs node_modules recipe-sweep.example.yml recipes $out/lib/recipe-sweep
    cp ${../package.json} $out/lib/recipe-sweep/package.json
    ln -s $out/lib/recipe-sweep/bin/recipe-sweep $out/bin/recipe-sweep
    runHook postInstall
  '';

  doInstallCheck = true;
  installCheckPhase = ''
    runHook preInstallCheck
    $out/bin/recipe-sweep --version
    $out/bin/recipe-sweep config check --config recipe-sweep.example.yml
    node -e "require('$out/lib/recipe-sweep/node_modules/@temporalio/core-bridge')"
    runHook postInstallCheck
  '';

  meta = {
    inherit (manifest) description;
    license = lib.licenses.agpl3Plus;
    mainProgram = "recipe-sweep";
    # Those that the workflow engine's core and the compiler of workflows are made for, in the lock file.
    platforms = [
      "x86_64-linux"
      "aarch64-linux"
    ];
  };
}
