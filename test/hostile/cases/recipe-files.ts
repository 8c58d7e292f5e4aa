import { CANARY, NEIGHBOUR, OUTSIDE, type HostileCase } from './hostile-case.ts';

/** A file of a recipe: its text, or what a symbolic link points at. */
export type RecipeFile = string | { link: string };

/** A release of a recipe with hostile files. */
export interface RecipeCase extends HostileCase {
  /** Files over those of {@link PLAIN_RECIPE}. */
  files: Readonly<Record<string, RecipeFile>>;
  /** For what is taken as plain text: what the compose file that docker is given says, and what it does not. */
  deployed?: { holds: readonly string[]; lacks: readonly string[] };
}

export const RELEASE = '1.0.0+1';

function compose(service: readonly string[] = [], top: readonly string[] = []): string {
  return [
    "version: '3.8'",
    'services:',
    '  app:',
    '    image: localhost/recipe-sweep/nginx:1.22',
    ...service.map((line) => `    ${line}`),
    ...(service.some((line) => line.startsWith('networks:')) ? [] : ['    networks: [proxy]']),
    ...(service.some((line) => line.startsWith('deploy:'))
      ? []
      : [`    deploy: {labels: ["coop-cloud.\${STACK_NAME}.version=${RELEASE}"]}`]),
    'networks:',
    '  proxy: {external: true}',
    ...top,
    '',
  ].join('\n');
}

export const PLAIN_RECIPE: Readonly<Record<string, RecipeFile>> = {
  'compose.yml': compose(),
  '.env.sample': 'TYPE=thing\nDOMAIN=thing.example.com\n',
  'abra.sh': 'export CONF_VERSION=v1\n',
};

const composeCase = (
  name: string,
  hostile: string,
  says: string,
  service: readonly string[],
  top: readonly string[] = [],
): RecipeCase => ({ name, hostile, says, files: { 'compose.yml': compose(service, top) } });

const laughs = Array.from(
  { length: 9 },
  (_, index) => `x-${index + 1}: &l${index + 1} [${Array(9).fill(`*l${index}`).join(', ')}]`,
);
const OUTSIDE_RECIPE = 'lies outside the recipe';
const NOT_OWN = "is not this app's";
const HOSTS = 'belongs to the host';

export const RECIPE_CASES: readonly RecipeCase[] = [
  // what compose files read
  composeCase(
    'config-climbs',
    'a config file outside the recipe',
    OUTSIDE_RECIPE,
    [],
    ['configs: {c: {file: ../../../../../../../../etc/shadow}}'],
  ),
  composeCase(
    'config-absolute',
    'a config file by an absolute path',
    OUTSIDE_RECIPE,
    [],
    [`configs: {c: {file: ${OUTSIDE}/secret}}`],
  ),
  composeCase(
    'secret-climbs',
    'a secret file outside the recipe',
    OUTSIDE_RECIPE,
    [],
    ['secrets: {s: {file: ../../home/.docker/config.json}}'],
  ),
  composeCase('env-file-climbs', 'an env_file outside the recipe', OUTSIDE_RECIPE, [
    'env_file: [/proc/self/environ]',
  ]),
  composeCase('bind-climbs', 'a bind of a folder outside the recipe', OUTSIDE_RECIPE, [
    'volumes: ["../..:/host"]',
  ]),
  {
    name: 'compose-file-climbs',
    hostile: 'COMPOSE_FILE outside the recipe',
    files: { '.env.sample': `COMPOSE_FILE="compose.yml:../../../../..${OUTSIDE}/secret"\n` },
    says: OUTSIDE_RECIPE,
  },
  {
    name: 'compose-file-absolute',
    hostile: 'COMPOSE_FILE by an absolute path, put together from variables',
    files: { '.env.sample': `A=/etc\nCOMPOSE_FILE="$A/passwd"\n` },
    says: OUTSIDE_RECIPE,
  },
  {
    name: 'compose-file-endless',
    hostile: 'COMPOSE_FILE with a thousand files',
    files: { '.env.sample': `COMPOSE_FILE="${Array(1000).fill('compose.yml').join(':')}"\n` },
    says: 'names 1000 files, more than 20',
  },
  {
    name: 'compose-file-escapes',
    hostile: 'COMPOSE_FILE with an escape sequence and right-to-left text',
    files: { '.env.sample': 'COMPOSE_FILE="\u001b[2J\u202egpj.yml"\n' },
    says: 'does not exist in the recipe',
  },

  // links
  {
    name: 'link-compose',
    hostile: 'a compose.yml that is a link to /etc/shadow',
    files: { 'compose.yml': { link: '/etc/shadow' } },
    says: OUTSIDE_RECIPE,
  },
  {
    name: 'link-env',
    hostile: "an .env.sample that is a link to the worker's environment",
    files: { '.env.sample': { link: '/proc/self/environ' } },
    says: OUTSIDE_RECIPE,
  },
  {
    name: 'link-abra',
    hostile: 'an abra.sh that is a link to a file outside',
    files: { 'abra.sh': { link: `${OUTSIDE}/secret` } },
    says: OUTSIDE_RECIPE,
  },
  {
    name: 'link-folder',
    hostile: 'a config below a link to a folder outside',
    files: { files: { link: OUTSIDE }, 'compose.yml': compose([], ['configs: {c: {file: files/secret}}']) },
    says: OUTSIDE_RECIPE,
  },
  {
    name: 'link-chain',
    hostile: 'a config that is a link to a link to a file outside',
    files: {
      one: { link: 'two' },
      two: { link: `${OUTSIDE}/secret` },
      'compose.yml': compose([], ['configs: {c: {file: one}}']),
    },
    says: OUTSIDE_RECIPE,
  },
  {
    name: 'link-loop',
    hostile: 'a compose.yml that is a link to itself',
    files: { 'compose.yml': { link: 'compose.yml' } },
    says: 'compose.yml does not exist in the recipe',
  },
  {
    name: 'link-dev-zero',
    hostile: 'an env_file that is a link to a device that never ends',
    files: { endless: { link: '/dev/zero' }, 'compose.yml': compose(['env_file: endless']) },
    says: OUTSIDE_RECIPE,
  },

  // YAML
  composeCase(
    'yaml-laughs',
    'aliases that multiply to a billion',
    'Excessive alias count',
    [],
    ['x-0: &l0 [ha, ha]', ...laughs],
  ),
  composeCase(
    'yaml-quadratic',
    'one long text, repeated by aliases',
    'Excessive alias count',
    [],
    [`x-0: &l0 [${Array(5_000).fill('ha').join(', ')}]`, `x-1: [${Array(5_000).fill('*l0').join(', ')}]`],
  ),
  composeCase(
    'yaml-merge-bomb',
    'merge keys that multiply',
    'Excessive alias count',
    [],
    [
      'x-0: &l0 {a: 1}',
      ...Array.from({ length: 1_500 }, (_, index) => `x-${index + 1}: {<<: *l0, k${index}: 1}`),
    ],
  ),
  composeCase('yaml-self-alias', 'an anchor that holds itself', 'nested too deeply', [], ['x-0: &a [*a]']),
  composeCase(
    'yaml-deep',
    'ten thousand lists inside each other',
    'nested too deeply',
    [],
    [`x-0: ${'['.repeat(10_000)}${']'.repeat(10_000)}`],
  ),
  composeCase(
    'yaml-duplicate-key',
    'the same key twice, once harmless',
    'the key privileged stands there twice',
    ['privileged: false', 'privileged: true'],
  ),
  composeCase(
    'yaml-duplicate-service',
    'the same service twice',
    'the key app stands there twice',
    [],
    ['x-services: {app: 1, "app": 2}'],
  ),
  composeCase('yaml-key-not-text', 'a key that is a list', 'a key that is not text', [], ['? [a, b]', ': 1']),
  composeCase(
    'yaml-errors',
    'thirty thousand mistakes on one line',
    'Invalid escape sequence',
    [],
    [`x-0: "${'\\q'.repeat(30_000)}"`],
  ),
  {
    name: 'yaml-tag',
    hostile: 'a tag that other readers would run',
    files: { 'compose.yml': compose([], [`x-0: !!python/object/apply:os.system ["touch ${CANARY}"]`]) },
    says: null,
    deployed: { holds: [`- "touch ${CANARY}"`], lacks: ['python'] },
  },
  {
    name: 'yaml-huge',
    hostile: 'a compose file of a megabyte',
    files: { 'compose.yml': `${compose()}# ${'x'.repeat(1_000_000)}\n` },
    says: 'more than the 65536 allowed',
  },
  {
    name: 'yaml-binary',
    hostile: 'a compose file that is no text',
    files: { 'compose.yml': '\u0000\u0001\u001b]0;x\u0007PK\u0003\u0004' },
    says: 'compose.yml',
  },

  // variables
  {
    name: 'env-doubling',
    hostile: 'an .env.sample whose lines double each other',
    files: {
      '.env.sample': [
        'A0=xxxxxxxxxx',
        ...Array.from({ length: 40 }, (_, i) => `A${i + 1}=$A${i}$A${i}$A${i}`),
      ].join('\n'),
    },
    says: 'grows beyond 16384 characters',
  },
  {
    name: 'env-growth-in-compose',
    hostile: 'a long variable, named ten thousand times in the compose file',
    files: {
      '.env.sample': `A=${'x'.repeat(10_000)}\n`,
      'compose.yml': compose([`command: "${'$A'.repeat(10_000)}"`]),
    },
    says: 'variables add more than',
  },
  {
    name: 'env-open-quote',
    hostile: 'a quote that never closes, before thirty thousand lines',
    files: { '.env.sample': `A="${'\n'.repeat(30_000)}` },
    says: 'has no closing "',
  },
  {
    name: 'env-code',
    hostile: 'a line of code in .env.sample',
    files: { '.env.sample': `touch ${CANARY}\n` },
    says: 'is neither NAME=value nor a comment',
  },
  {
    name: 'env-substitution',
    hostile: 'values of .env.sample that a shell would run',
    files: {
      '.env.sample': `A=$(touch ${CANARY})\nB=\`touch ${CANARY}\`\nC="; touch ${CANARY} #"\n`,
      'compose.yml': compose(['command: "$A $B $C"']),
    },
    says: null,
    deployed: { holds: [`$$(touch ${CANARY})`, `touch ${CANARY} #`], lacks: [] },
  },
  {
    name: 'env-required-message',
    hostile: 'an error message of compose that steers a terminal',
    files: { 'compose.yml': compose(['command: "${NONE:?\\e[2J\\e]0;x\\a\\u202e}"']) },
    says: 'required variable NONE is empty or not set: \\u{1b}[2J\\u{1b}]0;x\\u{7}\\u{202e}',
  },
  {
    name: 'env-stack-override',
    hostile: "a STACK_NAME and a DOMAIN of a neighbour's",
    files: {
      '.env.sample': `STACK_NAME=${NEIGHBOUR}\nDOMAIN=neighbour.example.org\n`,
      'abra.sh': `export STACK_NAME=${NEIGHBOUR}\nexport DOMAIN=neighbour.example.org\n`,
      'compose.yml': compose(['command: "${STACK_NAME} ${DOMAIN}"']),
    },
    says: null,
    deployed: { holds: ['command: "'], lacks: [NEIGHBOUR, 'neighbour.example.org'] },
  },
  {
    name: 'env-worker-variables',
    hostile: "the worker's own variables, asked for in every way compose knows",
    files: {
      names: 'HOME\nPATH\nDOCKER_HOST\nWORKER_SECRET\nGIT_CONFIG_GLOBAL\n',
      'compose.yml': compose([
        'command: "<${HOME}> <$PATH> <${DOCKER_HOST:-}> <${WORKER_SECRET}>"',
        'env_file: names',
        'environment: [HOME, PATH, DOCKER_HOST, WORKER_SECRET, DOCKER_CONFIG]',
      ]),
    },
    says: null,
    deployed: {
      holds: ['command: "<> <> <> <>"'],
      lacks: ['/home', '/usr/bin', 'docker.sock', 'hunter2', 'env_file'],
    },
  },
  {
    name: 'env-preload',
    hostile: 'variables that change the programs we run',
    files: {
      '.env.sample': `LD_PRELOAD=${OUTSIDE}/evil.so\nPATH=${OUTSIDE}\nDOCKER_HOST=tcp://evil.invalid:2375\nBASH_ENV=${OUTSIDE}/secret\nNODE_OPTIONS=--require=${OUTSIDE}/secret\nGIT_SSH_COMMAND=touch ${CANARY}\n`,
      'abra.sh': `export LD_PRELOAD=${OUTSIDE}/evil.so\nexport PATH=${OUTSIDE}\n`,
    },
    says: null,
    deployed: { holds: [], lacks: ['evil'] },
  },
  {
    name: 'abra-code',
    hostile: 'an abra.sh full of commands',
    files: {
      'abra.sh': `touch ${CANARY}\nexport A=$(touch ${CANARY})\nexport B=\`touch ${CANARY}\`\ntrap 'touch ${CANARY}' EXIT\nexport CONF_VERSION=v2; touch ${CANARY}\n`,
      'compose.yml': compose(['command: "<$A> <$B> <$CONF_VERSION>"']),
    },
    says: null,
    deployed: { holds: ['command: "<> <> <v2>"'], lacks: [CANARY] },
  },
  {
    name: 'charset-inherited',
    hostile: 'a character set that is a property of every object',
    files: {
      '.env.sample': 'SECRET_KEY_VERSION=v1 # length=20 charset=constructor\n',
      'compose.yml': compose(
        ['secrets: [key]'],
        ['secrets: {key: {external: true, name: "${STACK_NAME}_key_${SECRET_KEY_VERSION}"}}'],
      ),
    },
    says: 'charset=constructor is unknown',
  },
  {
    name: 'secret-endless',
    hostile: 'a secret of a billion characters',
    files: {
      '.env.sample': 'SECRET_KEY_VERSION=v1 # length=1000000000\n',
      'compose.yml': compose(
        ['secrets: [key]'],
        ['secrets: {key: {external: true, name: "${STACK_NAME}_key_${SECRET_KEY_VERSION}"}}'],
      ),
    },
    says: 'is not a number from 1 to 4096',
  },

  // what belongs to others on the host
  composeCase(
    'neighbour-volume',
    "another app's volume, as an external one",
    NOT_OWN,
    ['volumes: ["x:/x"]'],
    [`volumes: {x: {external: true, name: ${NEIGHBOUR}_data}}`],
  ),
  composeCase(
    'neighbour-volume-named',
    "another app's volume, as one of its own",
    NOT_OWN,
    ['volumes: ["x:/x"]'],
    [`volumes: {x: {name: ${NEIGHBOUR}_data}}`],
  ),
  composeCase(
    'neighbour-volume-bare',
    "another app's volume, external by its key",
    NOT_OWN,
    [`volumes: ["${NEIGHBOUR}_data:/x"]`],
    [`volumes: {${NEIGHBOUR}_data: {external: true}}`],
  ),
  composeCase(
    'neighbour-volume-split',
    'an external volume, its name in an anchor and a merge key',
    NOT_OWN,
    ['volumes: ["x:/x"]'],
    [`x-v: &v {external: "yes", name: ${NEIGHBOUR}_data}`, 'volumes: {x: {<<: *v}}'],
  ),
  {
    name: 'neighbour-volume-two-files',
    hostile: "another app's volume, external in one file and named in another",
    files: {
      '.env.sample': 'COMPOSE_FILE="compose.yml:compose.more.yml"\n',
      'compose.yml': compose(['volumes: ["x:/x"]'], ['volumes: {x: {external: true}}']),
      'compose.more.yml': `volumes: {x: {name: ${NEIGHBOUR}_data}}\n`,
    },
    says: NOT_OWN,
  },
  composeCase(
    'neighbour-secret',
    "another app's secret",
    NOT_OWN,
    ['secrets: [x]'],
    [`secrets: {x: {external: true, name: ${NEIGHBOUR}_key_v1}}`],
  ),
  composeCase(
    'neighbour-secret-legacy',
    "another app's secret, in the old way of writing it",
    NOT_OWN,
    ['secrets: [x]'],
    [`secrets: {x: {external: {name: ${NEIGHBOUR}_key_v1}}}`],
  ),
  {
    name: 'neighbour-secret-replaced',
    hostile: "a secret file under another app's name, which docker would take over",
    files: {
      key: 'x',
      'compose.yml': compose(['secrets: [x]'], [`secrets: {x: {file: key, name: ${NEIGHBOUR}_key_v1}}`]),
    },
    says: NOT_OWN,
  },
  {
    name: 'neighbour-config-replaced',
    hostile: "a config under another app's name, which docker would take over",
    files: {
      c: 'x',
      'compose.yml': compose(['configs: [x]'], [`configs: {x: {file: c, name: ${NEIGHBOUR}_conf_v1}}`]),
    },
    says: NOT_OWN,
  },
  composeCase(
    'neighbour-network',
    "another app's network",
    NOT_OWN,
    ['networks: [proxy, theirs]'],
    [`  theirs: {external: true, name: ${NEIGHBOUR}_internal}`],
  ),
  composeCase(
    'undeclared-network',
    'a network that is not declared, which docker makes without our label and then refuses',
    'undefined network "lost"',
    ['networks: [proxy, lost]'],
  ),
  composeCase('undeclared-network-mapping', 'the same, as a mapping', 'undefined network "lost"', [
    'networks: {proxy: {}, lost: {aliases: [x]}}',
  ]),
  composeCase('neighbour-alias', "another app's name on the shared network", "may be another app's name", [
    `networks: {proxy: {aliases: [${NEIGHBOUR}_app]}}`,
  ]),
  composeCase(
    'neighbour-alias-domain',
    "another app's domain on the shared network",
    "may be another app's name",
    ['networks: {proxy: {aliases: [login.example.org]}}'],
  ),
  composeCase('host-root', 'a bind of the whole host', HOSTS, ['volumes: ["/:/host"]']),
  composeCase('host-docker-socket', "the engine's socket", HOSTS, [
    'volumes: [{type: bind, source: /var/run/docker.sock, target: /s}]',
  ]),
  composeCase(
    'host-docker-socket-folder',
    "the folder of the engine's socket, spelt in a roundabout way",
    "the engine's socket docker.sock with it",
    ['volumes: ["//var/lib/../run/:/r:ro"]'],
  ),
  composeCase('host-home', "the worker's home", HOSTS, ['volumes: ["~/.docker:/d"]']),
  composeCase('host-volume-folder', "another app's volume, by its folder", HOSTS, [
    `volumes: ["/var/lib/docker/volumes/${NEIGHBOUR}_data/_data:/x:ro"]`,
  ]),
  composeCase(
    'host-driver-bind',
    'a volume that is a bind of the host',
    HOSTS,
    ['volumes: ["x:/x"]'],
    ['volumes: {x: {driver: local, driver_opts: {type: none, o: bind, device: /}}}'],
  ),
  composeCase(
    'host-driver-disk',
    "a volume that is the host's disk",
    HOSTS,
    ['volumes: ["x:/x"]'],
    ['volumes: {x: {driver_opts: {type: ext4, device: /dev/vda}}}'],
  ),
  composeCase(
    'host-driver-socket',
    "a volume that is the engine's socket",
    'allow: [docker-socket]',
    ['volumes: ["data:/x"]'],
    ['volumes: {data: {driver_opts: {type: none, o: bind, device: /run/docker.sock}}}'],
  ),
  composeCase(
    'host-driver-overlay',
    'a volume that is an overlay over the host',
    HOSTS,
    ['volumes: ["data:/x"]'],
    [
      'volumes: {data: {driver_opts: {type: overlay, device: overlay, o: "lowerdir=/etc,upperdir=/u,workdir=/w"}}}',
    ],
  ),
  {
    name: 'host-driver-two-files',
    hostile: 'a volume that is a bind of the host only once two files are put together',
    files: {
      '.env.sample': 'COMPOSE_FILE="compose.yml:compose.more.yml"\n',
      'compose.yml': compose(
        ['volumes: ["data:/x"]'],
        ['volumes: {data: {driver_opts: {type: tmpfs, device: etc}}}'],
      ),
      'compose.more.yml': "version: '3.8'\nvolumes: {data: {driver_opts: {o: bind}}}\n",
    },
    says: 'allow: [bind-volume:etc]',
  },
  composeCase('host-capabilities', 'every capability there is', 'allow: [cap-add:ALL]', ['cap_add: [all]']),
  composeCase('host-capability', 'one capability that is enough', 'allow: [cap-add:SYS_MODULE]', [
    'cap_add: [CHOWN, cap_sys_module]',
  ]),
  composeCase(
    'host-network-external',
    "the host's own network, by its external name",
    'allow: [host-network]',
    ['networks: [theirs]'],
    ['  theirs: {external: true, name: host}'],
  ),
  composeCase('host-network-mode', "the host's own network, as a mode", 'allow: [host-network]', [
    'network_mode: host',
  ]),
  composeCase(
    'host-privileged',
    'privilege, in a word that is true for docker alone',
    'allow: [privileged]',
    ['privileged: "on"'],
  ),
  composeCase('host-processes', "the host's processes", 'allow: [pid-host]', ['pid: host']),
  composeCase('host-device', "the host's disk as a device", 'allow: [device:/dev/vda]', [
    'devices: ["/dev/vda:/d"]',
  ]),
  composeCase(
    'policy-two-names',
    'a path that would read as two names in the advice',
    'allow: ["host-path:/a, docker-socket"]',
    ['volumes: ["/a, docker-socket:/s"]'],
  ),
  composeCase('host-localtime-written', 'a file every app may read, to write', 'mount it read-only', [
    'volumes: ["/etc/localtime:/etc/localtime"]',
  ]),

  // what becomes a name or an argument
  {
    name: 'image-option',
    hostile: 'an image that is an option',
    files: { 'compose.yml': compose().replace(/image: .*/, 'image: "--privileged"') },
    says: "is not an image's name",
  },
  {
    name: 'image-api-path',
    hostile: "an image that is another path of the engine's API",
    files: { 'compose.yml': compose().replace(/image: .*/, 'image: "../secrets?x="') },
    says: "is not an image's name",
  },
  composeCase(
    'version-spoofed',
    'a version label of another release',
    'compose says version 9.9.9+9, the tag says 1.0.0+1',
    ['deploy: {labels: ["coop-cloud.${STACK_NAME}.version=9.9.9+9"]}'],
  ),
  {
    name: 'labels-spoofed',
    hostile: 'labels that are ours and docker’s, on everything',
    files: {
      c: 'x',
      'compose.yml': compose(
        [
          `labels: [recipe-sweep.zone=elsewhere, com.docker.stack.namespace=${NEIGHBOUR}]`,
          `deploy: {labels: {"coop-cloud.\${STACK_NAME}.version": "${RELEASE}", recipe-sweep.zone: elsewhere, recipe-sweep.lifetime: warm}}`,
          'volumes: ["x:/x"]',
          'configs: [c]',
        ],
        [
          '  own: {labels: {recipe-sweep.zone: elsewhere}}',
          'volumes: {x: {labels: [recipe-sweep.zone=elsewhere, recipe-sweep.lifetime=warm]}}',
          'configs: {c: {file: c, labels: {recipe-sweep.recipe: other}}}',
        ],
      ),
    },
    says: null,
    // Later items of a list win, and a mapping has each key once.
    deployed: {
      holds: ['"recipe-sweep.zone=hostile.test"'],
      lacks: ['recipe-sweep.zone: "elsewhere"', 'recipe-sweep.recipe: "other"'],
    },
  },
  {
    name: 'keys-inherited',
    hostile: 'services and volumes named like properties of every object',
    files: {
      'compose.yml': compose(
        [],
        [
          'volumes: {__proto__: {name: "${STACK_NAME}_a"}, constructor: {name: "${STACK_NAME}_b"}}',
          'x-more: {__proto__: {polluted: "yes"}}',
        ],
      ),
    },
    says: null,
    deployed: { holds: ['__proto__'], lacks: [] },
  },
];
