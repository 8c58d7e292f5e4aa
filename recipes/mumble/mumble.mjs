// A client of Mumble's protocol, as small as the hooks and checks need it: messages in TLS, the ping in UDP.
// https://github.com/mumble-voip/mumble/blob/master/src/Mumble.proto
import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { connect } from 'node:tls';

const HOST = process.env['MUMBLE_HOST'];
const PORT = 64738;
const TIMEOUT_MS = 20_000;
const ATTEMPTS = 5;

const VERSION = 0;
const AUTHENTICATE = 2;
const REJECT = 4;
const SERVER_SYNC = 5;
const CHANNEL_STATE = 7;
const TEXT_MESSAGE = 11;
const PERMISSION_DENIED = 12;

/** A number in protobuf's way: seven bits a byte, the lowest first. */
function varint(number) {
  const bytes = [];
  for (let rest = BigInt(number); ; rest >>= 7n) {
    const more = rest > 127n;
    bytes.push(Number(rest & 127n) | (more ? 128 : 0));
    if (!more) return Buffer.from(bytes);
  }
}

/** Fields by their numbers: numbers, booleans and texts. */
function encode(fields) {
  return Buffer.concat(
    Object.entries(fields).flatMap(([number, value]) => {
      if (typeof value !== 'string') return [varint(Number(number) << 3), varint(value)];
      const text = Buffer.from(value);
      return [varint((Number(number) << 3) | 2), varint(text.length), text];
    }),
  );
}

/** The last value of each field: a BigInt, or bytes. */
function decode(bytes) {
  const fields = new Map();
  let at = 0;
  const number = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++];
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const key = Number(number());
    const kind = key & 7;
    if (kind === 0) fields.set(key >> 3, number());
    else {
      const length = kind === 2 ? Number(number()) : kind === 1 ? 8 : 4;
      fields.set(key >> 3, bytes.subarray(at, at + length));
      at += length;
    }
  }
  return fields;
}

/** Speaks TLS with the server; `until` waits for a message of one of those types that is as asked for. */
async function open() {
  const socket = connect({
    host: HOST,
    port: PORT,
    servername: process.env['APP_DOMAIN'],
    rejectUnauthorized: false,
  });
  const seen = [];
  let wake = () => undefined;
  let ended = null;
  let bytes = Buffer.alloc(0);
  socket.on('data', (more) => {
    bytes = Buffer.concat([bytes, more]);
    while (bytes.length >= 6 && bytes.length >= 6 + bytes.readUInt32BE(2)) {
      const end = 6 + bytes.readUInt32BE(2);
      seen.push({ type: bytes.readUInt16BE(0), fields: decode(bytes.subarray(6, end)) });
      bytes = bytes.subarray(end);
    }
    wake();
  });
  socket.on('error', (error) => ((ended = error), wake()));
  socket.on('close', () => ((ended ??= new Error('the server closed the connection')), wake()));
  socket.setTimeout(TIMEOUT_MS, () =>
    socket.destroy(new Error(`no word from the server for ${TIMEOUT_MS} ms`)),
  );

  return {
    send(type, fields) {
      const payload = encode(fields);
      const head = Buffer.alloc(6);
      head.writeUInt16BE(type, 0);
      head.writeUInt32BE(payload.length, 2);
      socket.write(Buffer.concat([head, payload]));
    },
    async until(...types) {
      for (let at = 0; ; at++) {
        while (at >= seen.length) {
          if (ended) throw ended;
          await new Promise((resolve) => (wake = resolve));
        }
        const message = seen[at];
        if (message.type === REJECT || message.type === PERMISSION_DENIED) {
          throw new Error(`the server refuses: ${text(message, 2) || text(message, 4)}`);
        }
        if (types.includes(message.type)) return seen.splice(at, 1)[0];
      }
    },
    channels: () => seen.filter(({ type }) => type === CHANNEL_STATE).map((message) => text(message, 3)),
    end: () => socket.destroy(),
  };
}

function text({ fields }, number) {
  return fields.get(number)?.toString('utf8') ?? '';
}

/** Logs in and waits until the server has told everything. */
async function join(name, password) {
  const server = await open();
  server.send(VERSION, { 1: 0x010400, 2: 'recipe-sweep' });
  server.send(AUTHENTICATE, { 1: name, ...(password === undefined ? {} : { 2: password }), 5: true });
  return { ...server, welcome: text(await server.until(SERVER_SYNC), 3) };
}

/** As in 1.5.735: a number of 64 bits where the server has one, else the old one of 32. */
function versionOf({ fields }) {
  const long = fields.get(5);
  const [numbers, bits] = long === undefined ? [fields.get(1), [16n, 8n, 0n]] : [long, [48n, 32n, 16n]];
  const mask = long === undefined ? 0xffn : 0xffffn;
  return bits.map((shift) => (numbers >> shift) & mask).join('.');
}

/** What came on standard input, once it was read. */
let password;

const COMMANDS = {
  /** Prints the version that the server speaks of once TLS stands. */
  async version() {
    const server = await open();
    console.log(versionOf(await server.until(VERSION)));
    server.end();
  },

  /** Prints what clients that have no connection yet are told: the ping that server lists send. */
  async ping() {
    const socket = createSocket('udp4');
    const mark = Buffer.from('sweeping');
    const answer = await new Promise((resolve, reject) => {
      setTimeout(() => reject(new Error('no answer to the ping')), 5_000);
      socket.on('message', resolve);
      socket.on('error', reject);
      socket.send(Buffer.concat([Buffer.alloc(4), mark]), PORT, HOST);
    });
    socket.close();
    if (answer.length !== 24 || !answer.subarray(4, 12).equals(mark))
      throw new Error('a wrong answer to the ping');
    console.log(`${answer.readUInt32BE(12)} of ${answer.readUInt32BE(16)} users`);
  },

  /** Makes a channel, as SuperUser, whose password comes on standard input. */
  async 'create-channel'(name) {
    password ??= readFileSync(0, 'utf8').trim();
    const server = await join('SuperUser', password);
    if (!server.channels().includes(name)) {
      server.send(CHANNEL_STATE, { 2: 0, 3: name });
      while (text(await server.until(CHANNEL_STATE), 3) !== name);
    }
    server.end();
  },

  /** Prints what a guest is welcomed with. */
  async welcome() {
    const server = await join('guest');
    console.log(server.welcome);
    server.end();
  },

  /** Prints the channels that a guest sees. */
  async channels() {
    const server = await join('guest');
    console.log(server.channels().join('\n'));
    server.end();
  },

  /** One guest writes to all in the root channel, and another one reads it. */
  async chat(words) {
    const reader = await join('reader');
    const writer = await join('writer');
    writer.send(TEXT_MESSAGE, { 3: 0, 5: words });
    while (text(await reader.until(TEXT_MESSAGE), 5) !== words);
    for (const guest of [reader, writer]) guest.end();
    console.log(`read: ${words}`);
  },
};

const [command, ...words] = process.argv.slice(2);
for (let attempt = 1; ; attempt++) {
  try {
    await COMMANDS[command](...words);
    break;
  } catch (error) {
    // A busy server resets connections now and then.
    if (error.code === 'ECONNRESET' && attempt < ATTEMPTS) {
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      continue;
    }
    console.error(error.message);
    process.exit(1);
  }
}
process.exit();
