import { app, script, type Entry, type Tree } from '../entry.ts';

/** What is wrong, or only odd, when an app is deployed from nothing. */

/** How long a red deployment is waited for. */
const SOON = 8;

/** A service beside the app, that the proxy knows nothing of. */
function beside(name: string, text: string, deploy: Tree = {}): Tree {
  const short = { restart_policy: { delay: '1s' }, update_config: { monitor: '1s' }, ...deploy };
  return {
    services: { [name]: { image: '{{image}}', stop_grace_period: '1s', deploy: short, ...script(text) } },
  };
}

const PUBLISHED: Tree = {
  services: {
    app: { ports: [{ target: 8080, published: '${PORT}', protocol: 'tcp', mode: 'host' }] },
  },
};

export const INSTALL: readonly Entry[] = [
  {
    name: 'plain',
    planted: 'nothing',
    matters: 'a catalogue that is right only on what is broken would be right by chance',
    releases: [{}],
    expected: {
      outcome: 'PASS',
      tiers: { install: 'pass', upgrade: 'skipped', backup: 'skipped' },
      level: 1,
    },
  },
  {
    name: 'exits-at-once',
    planted: 'its process exits with 1 as soon as it is started',
    matters: 'the commonest fault there is',
    releases: [{ compose: app('exit 1'), timeout: SOON }],
    expected: { outcome: 'FAIL', tier: 'install', says: 'non-zero exit (1)' },
  },
  {
    name: 'flaps',
    planted: 'it serves for two seconds, exits, and is started again',
    matters: 'at most moments when one looks, everything runs',
    releases: [
      {
        compose: app('serve & sleep 2; exit 1', {
          healthcheck: null,
          deploy: { update_config: { monitor: '3s' } },
        }),
        timeout: 12,
      },
    ],
    expected: { outcome: 'FAIL', tier: 'install', says: 'non-zero exit (1)' },
  },
  {
    name: 'crashes-once',
    planted: 'it exits with 1 when it is first started, and runs from then on',
    matters: 'apps crash until their database is up, and operators never notice',
    releases: [{ compose: app('[ -e /data/once ] || { touch /data/once; exit 1; }; exec serve') }],
    expected: { outcome: 'PASS', tiers: { install: 'pass' } },
  },
  {
    name: 'half-of-it-up',
    planted: 'of two replicas one never comes up',
    matters: 'the other one answers',
    releases: [
      {
        compose: app('[ "$SLOT" = 1 ] && exec serve', {
          environment: { SLOT: '{{.Task.Slot}}' },
          deploy: { replicas: 2 },
        }),
        timeout: SOON,
      },
    ],
    expected: { outcome: 'FAIL', tier: 'install', says: 'app 1/2' },
  },
  {
    name: 'slow-start',
    planted: 'it serves six seconds after it was started',
    matters: 'slow is no fault within the time that the recipe gives itself',
    releases: [{ compose: app('sleep 6; exec serve', { healthcheck: null }) }],
    expected: { outcome: 'PASS', tiers: { install: 'pass' } },
  },
  {
    name: 'too-slow',
    planted: 'it serves a minute after it was started, and gives itself eight seconds',
    matters: 'abra gives up there, and so does the operator',
    releases: [{ compose: app('sleep 60; exec serve', { healthcheck: null }), timeout: SOON }],
    expected: { outcome: 'FAIL', tier: 'install' },
  },
  {
    name: 'answers-500',
    planted: 'all its tasks run, and every page is a 500',
    matters: 'what runs need not serve',
    releases: [{ compose: app('exec answer "500 Broken"', { healthcheck: null }), timeout: SOON }],
    expected: { outcome: 'FAIL', tier: 'install', says: '500' },
  },
  {
    name: 'answers-503-at-first',
    planted: 'every page is a 503 for five seconds, and then it serves',
    matters: 'many apps say so while they migrate',
    releases: [
      {
        compose: app('answer "503 Migrating" & sleep 5; kill $!; wget -q 127.0.0.1:8080; exec serve', {
          healthcheck: null,
        }),
      },
    ],
    expected: { outcome: 'PASS', tiers: { install: 'pass' } },
  },
  {
    name: 'redirects',
    planted: 'its first page leads to a page for logging in',
    matters: 'a redirect of its own is the answer of most apps that have users',
    releases: [{ compose: app('exec answer "302 Found\\r\\nLocation: /login"', { healthcheck: null }) }],
    expected: { outcome: 'PASS', tiers: { install: 'pass' } },
  },
  {
    name: 'never-answers',
    planted: 'it takes every connection and says nothing',
    matters: 'an app that waits for its database for ever looks like this',
    releases: [
      {
        compose: app('while true; do sleep 1000 | nc -l -p 8080 > /dev/null; done', { healthcheck: null }),
        timeout: SOON,
      },
    ],
    expected: { outcome: 'FAIL', tier: 'install', says: 'there is no answer yet' },
  },
  {
    name: 'another-port',
    planted: 'it listens on another port than its labels tell the proxy',
    matters: 'all its tasks run, and every visitor gets a 502',
    releases: [{ compose: app('exec serve 8081', { healthcheck: null }), timeout: SOON }],
    expected: { outcome: 'FAIL', tier: 'install', says: '8080' },
  },
  {
    name: 'another-page',
    planted: 'it serves a page, and not the one that the recipe.yml names',
    matters: 'a default page must not pass for the app',
    releases: [{ timeout: SOON }],
    folder: { settings: { probe: { contains: 'Welcome to the app' } } },
    expected: { outcome: 'FAIL', tier: 'install', says: 'Welcome to the app' },
  },
  {
    name: 'never-healthy',
    planted: 'it serves, and its healthcheck never passes',
    matters: 'the swarm starts such a task again and again',
    releases: [
      { compose: { services: { app: { healthcheck: { test: ['CMD', 'false'] } } } }, timeout: SOON },
    ],
    expected: { outcome: 'FAIL', tier: 'install' },
  },
  {
    name: 'healthcheck-without-program',
    planted: 'its healthcheck calls a program that its image does not have',
    matters: 'images lose curl from one release to the next',
    releases: [
      {
        compose: { services: { app: { healthcheck: { test: ['CMD', 'curl', 'localhost'] } } } },
        timeout: SOON,
      },
    ],
    expected: { outcome: 'FAIL', tier: 'install' },
  },
  {
    name: 'long-start-period',
    planted: 'its healthcheck has a start_period of an hour',
    matters: 'abra stops watching there, and the app is well',
    releases: [{ compose: { services: { app: { healthcheck: { start_period: '1h' } } } } }],
    expected: { outcome: 'PASS', tiers: { install: 'pass' } },
  },
  {
    name: 'start-period-variable',
    planted: 'its start_period is a variable, which .env.sample sets',
    matters: 'abra reads it as a duration before it replaces variables, so no operator can deploy it',
    releases: [
      {
        compose: { services: { app: { healthcheck: { start_period: '${START_PERIOD}' } } } },
        env: ['START_PERIOD=5s'],
      },
    ],
    expected: { outcome: 'FAIL', tier: 'install', says: 'start_period' },
  },
  {
    name: 'image-unknown',
    planted: 'its image has a tag that its registry does not know',
    matters: 'a typing error in a tag is the package’s',
    releases: [{ compose: { services: { app: { image: '{{registry}}/app:1.0' } } } }],
    expected: { outcome: 'FAIL', tier: 'install', says: 'manifest unknown' },
  },
  {
    name: 'registry-away',
    planted: 'nobody answers where its image should be',
    matters: 'a registry that is down for an hour must not accuse a hundred recipes',
    releases: [{ compose: { services: { app: { image: '127.0.0.1:1/app:1.0' } } } }],
    expected: { outcome: 'ERROR infrastructure', says: 'refused' },
  },
  {
    name: 'login-wanted',
    planted: 'the registry of its image wants a login that this host does not have',
    matters: 'who runs the tests has to log in; the maintainers can do nothing about it',
    releases: [{ compose: { services: { app: { image: '{{registry}}/private:1.0' } } } }],
    expected: { outcome: 'ERROR infrastructure', says: 'log in' },
  },
  {
    name: 'registry-overloaded',
    planted: 'the registry of its image says that it was asked too often',
    matters: 'Docker Hub says so after a hundred images, whatever they are',
    releases: [{ compose: { services: { app: { image: '{{registry}}/busy:1.0' } } } }],
    expected: { outcome: 'ERROR infrastructure', says: 'toomanyrequests' },
  },
  {
    name: 'yaml-broken',
    planted: 'its compose.yml is no YAML',
    matters: 'a merge conflict that was released',
    releases: [{ files: { 'compose.yml': 'services:\n  app: [\n' } }],
    expected: { outcome: 'FAIL', tier: 'install', says: 'compose.yml' },
  },
  {
    name: 'network-undefined',
    planted: 'a service uses a network that no file defines',
    matters: 'docker refuses the file, as discourse’s was for a service that it did not define',
    releases: [{ compose: { services: { app: { networks: ['proxy', 'internal'] } } } }],
    expected: { outcome: 'FAIL', tier: 'install', says: 'internal' },
  },
  {
    name: 'variable-without-value',
    planted: 'compose.yml needs a variable that .env.sample does not set',
    matters: 'an operator who changes nothing gets an image without a name',
    releases: [{ compose: { services: { app: { image: '${APP_IMAGE}' } } } }],
    expected: { outcome: 'FAIL', tier: 'install' },
  },
  {
    name: 'generator-unknown',
    planted: 'a secret is to be generated of an alphabet that nobody knows',
    matters: 'what is generated instead would be no secret of the recipe’s',
    releases: [
      {
        compose: {
          services: { app: { secrets: ['key'] } },
          secrets: { key: { external: true, name: '${STACK_NAME}_key_${SECRET_KEY_VERSION}' } },
        },
        env: ['SECRET_KEY_VERSION=v1 # length=20 charset=klingon'],
      },
    ],
    expected: { outcome: 'FAIL', tier: 'install', says: 'klingon' },
  },
  {
    name: 'secret-by-hand',
    planted: 'a secret that is not to be generated, and a hook of the operator’s that inserts it',
    matters: 'a private key is no random text, and such recipes must be testable',
    releases: [
      {
        compose: {
          services: {
            app: { secrets: ['key'], ...script('grep -qx by-hand /run/secrets/key && exec serve') },
          },
          secrets: { key: { external: true, name: '${STACK_NAME}_key_${SECRET_KEY_VERSION}' } },
        },
        env: ['SECRET_KEY_VERSION=v1 # generate=false'],
      },
    ],
    folder: { hooks: { install: 'echo by-hand > "$SECRETS_DIR/key"' } },
    expected: { outcome: 'PASS', tiers: { install: 'pass' } },
  },
  {
    name: 'secret-by-nobody',
    planted: 'a secret that is not to be generated, and that nobody inserts',
    matters: 'what is missing must be named, and not be made up',
    releases: [
      {
        compose: {
          services: { app: { secrets: ['key'] } },
          secrets: { key: { external: true, name: '${STACK_NAME}_key_${SECRET_KEY_VERSION}' } },
        },
        env: ['SECRET_KEY_VERSION=v1 # generate=false'],
      },
    ],
    expected: { outcome: 'FAIL', tier: 'install', says: 'key' },
  },
  {
    name: 'secret-name-too-long',
    planted: 'the key of a secret leaves no room for the name of a stack before it',
    matters: 'docker takes 64 characters, and no operator has a domain that short',
    releases: [
      {
        compose: {
          services: { app: { secrets: ['k'.repeat(58)] } },
          secrets: { ['k'.repeat(58)]: { external: true, name: `\${STACK_NAME}_${'k'.repeat(58)}_v1` } },
        },
        env: [`SECRET_${'K'.repeat(58)}_VERSION=v1 # length=20`],
      },
    ],
    expected: { outcome: 'FAIL', tier: 'install', says: '64' },
  },
  {
    name: 'secret-fits-cold-domains-alone',
    planted: 'the name of a secret has room at a throw-away domain, and none at the warm one',
    matters: 'our own long names must not cost a green release its promotion',
    releases: [
      {
        compose: {
          services: { app: { secrets: ['k'.repeat(30)] } },
          secrets: { ['k'.repeat(30)]: { external: true, name: `\${STACK_NAME}_${'k'.repeat(30)}_v1` } },
        },
        env: [`SECRET_${'K'.repeat(30)}_VERSION=v1 # length=20`],
      },
    ],
    expected: { outcome: 'ERROR infrastructure', says: 'shorter "zone"' },
  },
  {
    name: 'one-shot',
    planted: 'a second service migrates, leaves with 0 and is not started again',
    matters: 'what has done its work need not run',
    releases: [{ compose: beside('migrate', 'exit 0', { restart_policy: { condition: 'none' } }) }],
    expected: { outcome: 'PASS', tiers: { install: 'pass' } },
  },
  {
    name: 'one-shot-fails',
    planted: 'a second service migrates, leaves with 1 and is not started again',
    matters: 'the app runs, on a database that was never made',
    releases: [
      { compose: beside('migrate', 'exit 1', { restart_policy: { condition: 'none' } }), timeout: SOON },
    ],
    expected: { outcome: 'FAIL', tier: 'install', says: 'migrate' },
  },
  {
    name: 'none-wanted',
    planted: 'a second service has no replicas, to be started by hand',
    matters: 'nothing of nothing is all there is to run',
    releases: [{ compose: beside('console', 'exit 1', { replicas: 0 }) }],
    expected: { outcome: 'PASS', tiers: { install: 'pass' } },
  },
  {
    name: 'worker-leaves-with-0',
    planted: 'a long-running service leaves with 0, and is started again on failure alone',
    matters: 'its daemon went to the background, nothing of it runs, and the swarm calls it complete',
    releases: [
      {
        compose: beside('worker', 'sleep 1; exit 0', {
          restart_policy: { condition: 'on-failure', delay: '1s' },
        }),
        timeout: 12,
      },
    ],
    expected: { outcome: 'FAIL', tier: 'install', says: 'worker' },
  },
  {
    name: 'no-such-node',
    planted: 'a placement constraint that no node meets',
    matters: 'a constraint is the recipe’s own, and an operator’s node has no such label either',
    releases: [
      {
        compose: {
          services: {
            app: { deploy: { placement: { constraints: ['node.labels.recipe-sweep-nobody==true'] } } },
          },
        },
        timeout: SOON,
      },
    ],
    expected: { outcome: 'FAIL', tier: 'install', says: 'no suitable node' },
  },
  {
    name: 'wants-900-gigabytes',
    planted: 'it reserves more memory than this host has',
    matters: 'the host of the tests is smaller than an operator’s need be',
    releases: [
      {
        compose: { services: { app: { deploy: { resources: { reservations: { memory: '900G' } } } } } },
        timeout: SOON,
      },
    ],
    expected: { outcome: 'ERROR infrastructure', says: 'insufficient resources' },
  },
  {
    name: 'port-taken',
    planted: 'it publishes a port of the host that somebody else has',
    matters: 'another app on the host of the tests is no fault of this one',
    releases: [{ compose: PUBLISHED, env: ['PORT={{port}}'], timeout: SOON }],
    expected: { outcome: 'ERROR infrastructure', says: 'port' },
  },
  {
    name: 'out-of-its-own-memory',
    planted: 'it needs more memory than its own limit allows',
    matters: 'the kernel ends it, here and everywhere',
    releases: [
      {
        compose: app('x=0123456789abcdef; while true; do x=$x$x; done', {
          healthcheck: null,
          deploy: { resources: { limits: { memory: '16M' } } },
        }),
        timeout: SOON,
      },
    ],
    expected: { outcome: 'FAIL', tier: 'install' },
  },
  {
    name: 'reads-the-host',
    planted: 'it mounts a folder of the host',
    matters: 'recipes are tested unread, and nothing of theirs may reach the host',
    releases: [{ compose: { services: { app: { volumes: ['data:/data', '/etc:/host'] } } } }],
    expected: { outcome: 'FAIL', tier: 'install', says: 'host-path:/etc' },
  },
  {
    name: 'example-domain-elsewhere',
    planted: '.env.sample has <recipe>.example.com in a second variable',
    matters: 'abra app new puts the domain wherever it stands; cryptpad needs a second name',
    releases: [
      {
        env: ['SANDBOX_DOMAIN=sandbox.{{recipe}}.example.com'],
        compose: { services: { app: { environment: ['SANDBOX_DOMAIN'] } } },
      },
    ],
    folder: {
      checks: {
        sandbox: 'test "$(in-service app sh -c \'echo "$SANDBOX_DOMAIN"\')" = "sandbox.$APP_DOMAIN"',
      },
    },
    expected: { outcome: 'PASS', tiers: { custom: 'pass' } },
  },
  {
    name: 'domain-in-recipe-yml',
    planted: 'recipe.yml sets a second name with ${DOMAIN}',
    matters: 'the domain of a cold test is another one each time',
    releases: [
      { env: ['SANDBOX_DOMAIN='], compose: { services: { app: { environment: ['SANDBOX_DOMAIN'] } } } },
    ],
    folder: {
      settings: { env: { SANDBOX_DOMAIN: 'sandbox.${DOMAIN}' } },
      checks: {
        sandbox: 'test "$(in-service app sh -c \'echo "$SANDBOX_DOMAIN"\')" = "sandbox.$APP_DOMAIN"',
      },
    },
    expected: { outcome: 'PASS', tiers: { custom: 'pass' } },
  },
  {
    name: 'post-deploy-commands',
    planted: 'a command that abra runs after a deployment makes what a check looks for',
    matters: 'an operator gets the migration that lives there',
    releases: [
      {
        env: ['POST_DEPLOY_CMDS="app migrate"'],
        files: { 'abra.sh': 'migrate() {\n  touch /data/migrated\n}\n' },
      },
    ],
    folder: { checks: { migrated: 'in-service app test -e /data/migrated' } },
    expected: { outcome: 'PASS', tiers: { custom: 'pass' } },
  },
  {
    name: 'post-deploy-command-fails',
    planted: 'a command that abra runs after a deployment fails',
    matters: 'the app answers, on a database that was not migrated',
    releases: [
      {
        env: ['POST_DEPLOY_CMDS="app migrate"'],
        files: { 'abra.sh': 'migrate() {\n  echo no such table\n  return 3\n}\n' },
      },
    ],
    expected: { outcome: 'FAIL', tier: 'install', says: 'no such table' },
  },
  {
    name: 'post-deploy-command-unknown',
    planted: 'a command is to be run after a deployment that abra.sh does not have',
    matters: 'an operator’s deployment ends with an error',
    releases: [{ env: ['POST_DEPLOY_CMDS="app migrate"'] }],
    expected: { outcome: 'FAIL', tier: 'install', says: 'migrate' },
  },
  {
    name: 'ready-hook-hangs',
    planted: 'the operator’s hook ready never ends',
    matters: 'one recipe must not hold a sweep for a night',
    releases: [{}],
    folder: { settings: { timeouts: { hook: '5s' } }, hooks: { ready: 'exec sleep 1000' } },
    expected: { outcome: 'FAIL', tier: 'install', says: 'not finished after 5s' },
  },
  {
    name: 'write-data-fails',
    planted: 'it serves, and takes no data',
    matters: 'a page that is served says nothing of the database behind it',
    releases: [{}],
    folder: { hooks: { 'write-data': 'echo read-only >&2; exit 3', 'check-data': 'true' } },
    expected: { outcome: 'FAIL', tier: 'install', says: 'read-only' },
  },
];
