// Speaks to CryptPad as its own pages do: netflux, by WebSocket. What is written in a document is enciphered with a key that
// the server never sees.
//   pad.mjs write PAD TEXT   writes a line into the document of that name
//   pad.mjs read PAD         prints its lines, as its history has them
//   pad.mjs two PAD TEXT     two people in it at once: what one writes the other is told, and may answer
// A document's name stands for its channel and its key alike. Tells the network by APP_URL and APP_ADDRESS.
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';

const PATIENCE_MS = 30_000;

const [, , command, pad, text] = process.argv;
const hashOf = (what) => createHash('sha256').update(`${what} ${pad}`).digest();
const channel = hashOf('channel').toString('hex').slice(0, 32);
const key = hashOf('key');

function encipher(line) {
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  const hidden = Buffer.concat([cipher.update(line, 'utf8'), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), hidden]).toString('base64');
}

function decipher(hidden) {
  const bytes = Buffer.from(hidden, 'base64');
  const plain = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, 12));
  plain.setAuthTag(bytes.subarray(12, 28));
  return Buffer.concat([plain.update(bytes.subarray(28)), plain.final()]).toString('utf8');
}

function address() {
  const url = new URL(process.env.APP_URL);
  if (process.env.APP_ADDRESS) url.hostname = process.env.APP_ADDRESS;
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  url.pathname = '/cryptpad_websocket';
  return url;
}

/** Somebody in the document's channel. */
async function enter() {
  const socket = new WebSocket(address());
  /** Messages that nobody waited for yet, and who waits. */
  const waiting = [];
  const told = [];
  socket.addEventListener('message', ({ data }) => {
    told.push(JSON.parse(data));
    for (const look of [...waiting]) look();
  });
  const ended = new Promise((_, reject) => {
    socket.addEventListener('error', () => reject(new Error(`no WebSocket at ${address()}`)));
    socket.addEventListener('close', () => reject(new Error('the server closed the WebSocket')));
  });
  ended.catch(() => undefined);

  /** The first message that is so, also one that came before. */
  function message(what, isSo) {
    const late = new Promise((_, reject) => {
      setTimeout(
        () => reject(new Error(`${what} did not come within ${PATIENCE_MS / 1000} s`)),
        PATIENCE_MS,
      ).unref();
    });
    const found = new Promise((resolve) => {
      const look = () => {
        const one = told.find(isSo);
        if (one === undefined) return;
        waiting.splice(waiting.indexOf(look), 1);
        resolve(one);
      };
      waiting.push(look);
      look();
    });
    return Promise.race([found, late, ended]);
  }

  let sequence = 1;
  function say(...parts) {
    socket.send(JSON.stringify([++sequence, ...parts]));
    const mine = sequence;
    return message('an answer', ([number, kind]) => number === mine && kind !== undefined).then(
      ([, kind, ...more]) => {
        if (kind === 'ERROR') throw new Error(`the server answers ${more.join(' ')}`);
      },
    );
  }

  const [, , , id] = await message('a greeting', ([, , kind]) => kind === 'IDENT');
  await say('JOIN', channel);
  // the keeper of the history is in every channel, and has a shorter name than people
  const [, keeper] = await message(
    'the keeper of the history',
    (one) => one[2] === 'JOIN' && one[1].length === 16,
  );
  return {
    write: (line) => say('MSG', channel, encipher(line)),
    /** The line that somebody else writes now. */
    async hears() {
      const by = ([, who, kind, where]) => kind === 'MSG' && where === channel && who !== id;
      return decipher((await message('what the other wrote', by))[4]);
    },
    async history() {
      await say('MSG', keeper, JSON.stringify(['GET_HISTORY', channel, { metadata: {} }]));
      const isEnd = ([, who, kind, , content]) =>
        who === keeper && kind === 'MSG' && content.includes('"state":1');
      await message('the end of the history', isEnd);
      return told
        .filter(([, who, kind]) => who === keeper && kind === 'MSG')
        .map(([, , , , content]) => JSON.parse(content))
        .filter((entry) => Array.isArray(entry) && entry[2] === 'MSG')
        .map((entry) => decipher(entry[4]));
    },
  };
}

async function main() {
  const one = await enter();
  if (command === 'write') await one.write(text);
  if (command === 'read') console.log((await one.history()).join('\n'));
  if (command === 'two') {
    const other = await enter();
    await one.write(text);
    const heard = await other.hears();
    if (heard !== text) throw new Error(`the other one is told: ${heard}`);
    await other.write(`${text}, says the other`);
    const answer = await one.hears();
    if (answer !== `${text}, says the other`) throw new Error(`the first one is told: ${answer}`);
    console.log(`${text}: heard and answered`);
  }
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error.message);
    process.exit(1);
  },
);
