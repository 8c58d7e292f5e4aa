# As much of nixpkgs' lib and of its module system as nix/ uses, written for these tests: nixpkgs is not where they run.
# What it does not know it refuses.
let
  inherit (builtins)
    all
    attrNames
    attrValues
    concatLists
    concatMap
    concatStringsSep
    elem
    elemAt
    filter
    foldl'
    genList
    head
    intersectAttrs
    isAttrs
    isBool
    isInt
    isList
    isString
    length
    listToAttrs
    mapAttrs
    match
    stringLength
    substring
    ;

  nameValuePair = name: value: { inherit name value; };
  attrs = names: make: listToAttrs (map (name: nameValuePair name (make name)) names);
  unique = foldl' (seen: one: if elem one seen then seen else seen ++ [ one ]) [ ];
  dotted = concatStringsSep ".";
  shown = value: if isAttrs value || isList value then "…" else builtins.toJSON value;

  # Properties of definitions.
  mkIf = condition: content: {
    _type = "if";
    inherit condition content;
  };
  mkMerge = contents: {
    _type = "merge";
    inherit contents;
  };
  mkDefault = content: {
    _type = "override";
    priority = 1000;
    inherit content;
  };
  ofOption = 1500;
  ofUser = 100;
  typeIs = name: value: isAttrs value && value._type or null == name;

  # A definition of a group as definitions without properties, which its members have instead: a condition must not be
  # asked before it is known which option is meant.
  pushedDown =
    value:
    if typeIs "merge" value then
      concatMap pushedDown value.contents
    else if typeIs "if" value then
      map (mapAttrs (_: mkIf value.condition)) (pushedDown value.content)
    else if typeIs "override" value then
      map (mapAttrs (_: content: value // { inherit content; })) (pushedDown value.content)
    else
      [ value ];

  # A definition of one option as values with priorities.
  discharged =
    priority: value:
    if typeIs "merge" value then
      concatMap (discharged priority) value.contents
    else if typeIs "if" value then
      if value.condition then discharged priority value.content else [ ]
    else if typeIs "override" value then
      discharged value.priority value.content
    else
      [ { inherit priority value; } ];

  merged =
    at: option: definitions:
    let
      given = concatMap (discharged ofUser) definitions;
      all' =
        given
        ++ (
          if option ? default then
            [
              {
                priority = ofOption;
                value = option.default;
              }
            ]
          else
            [ ]
        );
      first = foldl' (least: one: if one.priority < least then one.priority else least) 9999 all';
      values = map (one: one.value) (filter (one: one.priority == first) all');
    in
    if values == [ ] then
      throw "The option `${dotted at}' was accessed but has no value defined"
    else
      option.type.merge at values;

  checked =
    name: check: merge:
    {
      inherit name;
      merge =
        at: values:
        let
          wrong = filter (value: !(check value)) values;
        in
        if wrong != [ ] then
          throw "A definition for option `${dotted at}' is not of type `${name}': ${shown (head wrong)}"
        else
          merge at values;
    };
  one =
    at: values:
    if all (value: value == head values) values then
      head values
    else
      throw "The option `${dotted at}' has conflicting definition values";
  scalar = name: check: checked name check one;

  everything = {
    name = "anything";
    merge =
      at: values:
      if length values > 1 && all isAttrs values then
        (types.attrsOf everything).merge at values
      else if length values > 1 && all isList values then
        concatLists values
      else if length values == 1 && isAttrs (head values) && !((head values) ? outPath) then
        (types.attrsOf everything).merge at values
      else
        one at values;
  };

  types = {
    anything = everything;
    bool = scalar "boolean" isBool;
    int = scalar "integer" isInt;
    str = scalar "string" isString;
    lines = checked "lines" isString (_: concatStringsSep "\n");
    package = scalar "package" (value: isString value || value ? outPath);
    strMatching =
      pattern:
      scalar "string matching ${pattern}" (value: isString value && match pattern value != null);
    enum = choices: scalar "one of ${builtins.toJSON choices}" (value: elem value choices);
    ints.between =
      least: most:
      scalar "integer between ${toString least} and ${toString most}" (
        value: isInt value && value >= least && value <= most
      );
    listOf = type: checked "list" isList (at: values: map (value: type.merge at [ value ]) (concatLists values));
    attrsOf =
      type:
      checked "attribute set" isAttrs (
        at: values:
        let
          each = concatMap pushedDown values;
          of = name: map (value: value.${name}) (filter (value: value ? ${name}) each);
          # One whose conditions none holds is not there.
          isThere = name: concatMap (discharged ofUser) (of name) != [ ];
        in
        attrs (filter isThere (unique (concatMap attrNames each))) (
          name: merged (at ++ [ name ]) { inherit type; } (of name)
        )
      );
    nullOr = type: {
      name = "null or ${type.name}";
      merge =
        at: values: if all (value: value == null) values then null else type.merge at (filter (value: value != null) values);
    };
    submodule = module: checked "submodule" isAttrs (at: values: evaluated at module.options values);
  };

  isOption = typeIs "option";

  # The value of a tree of options, from definitions.
  evaluated =
    at: options: definitions:
    let
      each = concatMap pushedDown definitions;
      unknown = filter (name: !(options ? ${name})) (unique (concatMap attrNames each));
      of =
        name: option:
        let
          mine = map (definition: definition.${name}) (filter (definition: definition ? ${name}) each);
          here = at ++ [ name ];
        in
        if isOption option then merged here option mine else evaluated here option mine;
    in
    if unknown != [ ] then
      throw "The option `${dotted (at ++ [ (head unknown) ])}' does not exist"
    else
      mapAttrs of options;

  recursiveUpdate =
    left: right:
    mapAttrs (
      name: value:
      if left ? ${name} && right ? ${name} && isAttrs left.${name} && isAttrs value then
        recursiveUpdate left.${name} value
      else
        value
    ) (left // right);

  # Modules with what they import, once their arguments are known.
  withImports =
    arguments: module:
    let
      made = if builtins.isPath module then import module else module;
      here = if builtins.isFunction made then made arguments else made;
    in
    [ here ] ++ concatMap (withImports arguments) (here.imports or [ ]);

  isDeclaration = module: module ? options || module ? config || module ? imports;
in
rec {
  inherit
    mkDefault
    mkIf
    mkMerge
    nameValuePair
    recursiveUpdate
    types
    ;
  inherit (builtins) attrNames attrValues listToAttrs;

  mkOption = option: option // { _type = "option"; };
  literalExpression = text: { inherit text; };

  all = builtins.all;
  drop = count: list: genList (index: elemAt list (index + count)) (length list - count);
  take = count: list: genList (elemAt list) (if count < length list then count else length list);
  optional = condition: value: if condition then [ value ] else [ ];
  optionalAttrs = condition: set: if condition then set else { };
  concatStrings = concatStringsSep "";
  concatMapStrings = make: list: concatStrings (map make list);
  hasPrefix = start: text: substring 0 (stringLength start) text == start;
  splitString =
    separator: text:
    let
      signs = genList (index: substring index 1 separator) (stringLength separator);
      pattern = concatStringsSep "" (map (sign: "[${sign}]") signs);
    in
    filter isString (builtins.split pattern text);
  makeBinPath = packages: concatStringsSep ":" (map (package: "${package}/bin") packages);
  mapAttrsToList = make: set: map (name: make name set.${name}) (attrNames set);
  mapAttrs = builtins.mapAttrs;
  mapAttrs' = make: set: listToAttrs (mapAttrsToList make set);
  filterAttrs = keep: set: removeAttrs set (filter (name: !(keep name set.${name})) (attrNames set));
  filterAttrsRecursive =
    keep: set:
    builtins.mapAttrs (_: value: if isAttrs value then filterAttrsRecursive keep value else value) (filterAttrs keep set);
  setAttrByPath =
    path: value: if path == [ ] then value else { ${head path} = setAttrByPath (drop 1 path) value; };

  # The configuration that modules come to. Further arguments of theirs are given by name.
  evalModules =
    { modules, arguments }:
    let
      found = concatMap (withImports (arguments // { inherit config; })) modules;
      options = foldl' recursiveUpdate { } (map (module: module.options or { }) found);
      definitions = map (module: if isDeclaration module then module.config or { } else module) found;
      config = evaluated [ ] options definitions;
    in
    config;
}
