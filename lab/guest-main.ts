/**
 * The lab's process in a guest: does what the host says over the serial port named by the first argument. Runs from
 * the host's own files, so that it is always of the host's version.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { openSync, read, readdirSync, readFileSync, writeSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { release } from 'node:os';
import { join } from 'node:path';
import { encode, type Event, Lines, type Request } from './channel.js';

const PORTS = '/sys/class/virtio-ports';

function openPort(name: string): number {
  for (const device of readdirSync(PORTS)) {
    if (readFileSync(join(PORTS, device, 'name'), 'utf8').trim() === name)
      return openSync(`/dev/${device}`, 'r+');
  }
  throw new Error(`there is no serial port called ${name}`);
}

const port = openPort(process.argv[2] ?? '');
const processes = new Map<number, ChildProcess>();
const sockets = new Map<number, Socket>();

/** The port is not made non-blocking: what is written here has been taken by the host. */
function tell(event: Event): void {
  const bytes = Buffer.from(encode(event));
  for (let at = 0; at < bytes.length;) at += writeSync(port, bytes, at);
}

function run(request: Extract<Request, { op: 'spawn' }>): void {
  const { id, argv, env, cwd } = request;
  const [command = '', ...args] = argv;
  const child = spawn(command, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  processes.set(id, child);
  for (const event of ['stdout', 'stderr'] as const) {
    child[event].on('data', (data: Buffer) => tell({ id, event, data: data.toString('base64') }));
  }
  child.once('spawn', () => tell({ id, event: 'started', pid: child.pid ?? 0 }));
  child.once('error', (error) => {
    processes.delete(id);
    tell({ id, event: 'stderr', data: Buffer.from(`${error.message}\n`).toString('base64') });
    tell({ id, event: 'exit', status: 127, signal: null });
  });
  // What it started may hold its output open: its own end is what counts. What it printed last is read by then: between
  // the two turns the loop looks at all pipes.
  child.once('exit', (status, signal) => {
    setImmediate(() => {
      setImmediate(() => {
        if (processes.delete(id)) tell({ id, event: 'exit', status, signal });
      });
    });
  });
}

function converse(request: Extract<Request, { op: 'connect' }>): void {
  const { id, path } = request;
  const socket = connect(path);
  sockets.set(id, socket);
  let error = '';
  socket.on('data', (data) => tell({ id, event: 'data', data: data.toString('base64') }));
  socket.on('error', (cause) => (error = cause.message));
  socket.once('close', () => {
    sockets.delete(id);
    tell({ id, event: 'closed', error });
  });
}

function obey(request: Request): void {
  switch (request.op) {
    case 'spawn':
      return run(request);
    case 'kill':
      processes.get(request.id)?.kill(request.signal);
      return;
    case 'connect':
      return converse(request);
    case 'data':
      sockets.get(request.id)?.write(Buffer.from(request.data, 'base64'));
      return;
    case 'end':
      sockets.get(request.id)?.end();
  }
}

const lines = new Lines((line) => obey(JSON.parse(line) as Request));
const buffer = Buffer.alloc(1 << 16);

function listen(): void {
  read(port, buffer, 0, buffer.length, null, (error, count) => {
    // 0 bytes: nobody is at the other end yet, or no more
    if (error || count === 0) process.exit(error ? 1 : 0);
    lines.push(buffer.subarray(0, count));
    listen();
  });
}

tell({ id: 0, event: 'ready', release: release() });
listen();
