# The keys of the configuration (options.json, which `npm run nix-options` writes) as options of a NixOS module. What
# is null is left out of the file.
{ lib }:
let
  inherit (lib) mkOption types;

  entries = map (entry: entry // { at = lib.splitString "." entry.key; }) (
    builtins.fromJSON (builtins.readFile ./options.json)
  );

  textOf = type: if type.pattern == null then types.str else types.strMatching type.pattern;

  typeOf =
    entry:
    {
      text = textOf entry.type;
      texts = types.listOf (textOf entry.type);
      choice = types.enum entry.type.of;
      number = types.ints.between entry.type.min entry.type.max;
      group = types.submodule { options = below entry.at; };
      groups = types.listOf (types.submodule { options = below entry.at; });
    }
    .${entry.type.kind};

  option =
    entry:
    let
      mayBeLeftOut = !entry.required && entry.default == null;
    in
    mkOption (
      {
        inherit (entry) description;
        type = if mayBeLeftOut then types.nullOr (typeOf entry) else typeOf entry;
      }
      // lib.optionalAttrs (!entry.required) { inherit (entry) default; }
      // lib.optionalAttrs (entry.example != null) {
        example = if entry.type.kind == "texts" then [ entry.example ] else entry.example;
      }
    );

  # A group that may be left out is one option, with those of its keys inside its type; so is a list of groups.
  groups = map (entry: entry.at) (
    builtins.filter (entry: entry.type.kind == "group" || entry.type.kind == "groups") entries
  );
  startsWith = at: start: lib.take (builtins.length start) at == start && at != start;

  # The options below a group of keys, without those inside a group of their own.
  below =
    start:
    let
      inside = builtins.filter (
        entry:
        startsWith entry.at start
        && !(builtins.any (group: startsWith group start && startsWith entry.at group) groups)
      ) entries;
      relative = entry: lib.drop (builtins.length start) entry.at;
    in
    builtins.foldl' (
      tree: entry: lib.recursiveUpdate tree (lib.setAttrByPath (relative entry) (option entry))
    ) { } inside;
in
below [ ]
