/**
 * A guest: a virtual machine with a kernel of its own on the host's files. Commands run in it, and its unix sockets
 * are reached, through the serial port; it ends with the process that booted it, however that ends.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, connect, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { encode, type Event, Lines, type Request } from './channel.js';
import { LabError } from './errors.js';
import { initramfs, ROOT_TAG } from './initramfs.js';
import { type Kernel } from './kernels.js';
import { type Network } from './network.js';
import { packageRoot } from './paths.js';

/** How long a guest may take until its process answers, ms: emulated processors, and others who want the host's. */
const BOOT_DEADLINE = 120_000;
const PORT = 'lab';
/** USER_HZ: a second in /proc, on every architecture that matters here. */
const TICKS = 100;
/** For a command, or for what one prints, ms. */
const PATIENCE = 60_000;
/** For a guest that is alive to end a killed command, or to tell where its processors are, ms. */
const LAST_WORDS = 10_000;

export interface Nic {
  /** Joins all NICs of this name. */
  readonly wire: string;
  readonly mac: string;
  /** Pairs of queues; native XDP sends without a lock where there are as many more as CPUs. Default: 1. */
  readonly queues?: number;
  /** More of QEMU's `virtio-net-pci`. */
  readonly properties?: Readonly<Record<string, string>>;
}

export interface GuestOptions {
  readonly name: string;
  readonly kernel: Kernel;
  readonly cpus?: number;
  /** MiB. */
  readonly memory?: number;
  readonly nics?: readonly Nic[];
}

export interface Output {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ExecOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Default: this package's directory. */
  readonly cwd?: string;
  /** ms; default: one minute. */
  readonly timeout?: number;
  /** A status other than 0 is an answer too. */
  readonly mayFail?: boolean;
}

/** A process in the guest that goes on. */
export interface Running {
  /** Resolves when what it printed contains the text; rejects if it ends before, or does not in `timeout` ms. */
  prints(text: string, timeout?: number): Promise<void>;
  kill(signal?: NodeJS.Signals): void;
  readonly ended: Promise<Output>;
}

interface Conversation {
  hear(event: Event): void;
  /** The guest is no more. */
  lost(error: LabError): void;
}

export class Guest {
  readonly name: string;
  readonly #machine: ChildProcess;
  readonly #files: ChildProcess;
  readonly #folder: string;
  readonly #conversations = new Map<number, Conversation>();
  readonly #servers: Server[] = [];
  #channel: Socket | undefined;
  #last = 0;
  #closed = false;
  /** Why nothing can be asked of it any more. */
  #gone: LabError | undefined;

  private constructor(name: string, folder: string, machine: ChildProcess, files: ChildProcess) {
    this.name = name;
    this.#folder = folder;
    this.#machine = machine;
    this.#files = files;
  }

  /** `folder`: for its sockets and its console. Throws LabError with the end of the console if it does not come up. */
  static async boot(options: GuestOptions, network: Network, folder: string): Promise<Guest> {
    mkdirSync(folder, { recursive: true });
    const files = await serveFiles(folder);
    let guest: Guest | undefined;
    try {
      const machine = await startMachine(options, network, folder);
      guest = new Guest(options.name, folder, machine, files);
      await guest.#ready();
      return guest;
    } catch (error) {
      if (guest) await guest.close();
      else files.kill('SIGKILL');
      throw error;
    }
  }

  /** What the kernel and the first process said. */
  get console(): string {
    const path = join(this.#folder, 'console');
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  }

  /** Throws LabError COMMAND with what was printed, if it fails. */
  async exec(argv: readonly string[], options: ExecOptions = {}): Promise<Output> {
    const { timeout = PATIENCE, mayFail = false } = options;
    const running = this.start(argv, options);
    const output = await within(timeout, running.ended);
    if (output === undefined) {
      running.kill('SIGKILL');
      const killed = await within(LAST_WORDS, running.ended);
      const said =
        killed === undefined
          ? `and the guest does not answer any more:\n${await this.#autopsy()}`
          : `and had printed:\n${tail(killed.stdout + killed.stderr)}`;
      throw new LabError('COMMAND', `${this.#said(argv)} took longer than ${timeout / 1000} s, ${said}`);
    }
    if (output.status === 0 || mayFail) return output;
    throw new LabError(
      'COMMAND',
      `${this.#said(argv)} failed (${output.status}):\n${tail(output.stdout + output.stderr)}`,
    );
  }

  /** A script of the shell. */
  sh(script: string, options: ExecOptions = {}): Promise<Output> {
    return this.exec(['sh', '-ec', script], options);
  }

  start(argv: readonly string[], { env = {}, cwd = packageRoot }: ExecOptions = {}): Running {
    const process = new GuestProcess(this.#said(argv));
    const id = this.#converse(process);
    this.#tell({ id, op: 'spawn', argv, env, cwd });
    return {
      prints: (text, timeout) => process.prints(text, timeout),
      kill: (signal = 'SIGTERM') => this.#tell({ id, op: 'kill', signal }),
      ended: process.ended,
    };
  }

  /** A unix socket of this host that leads to one in the guest. */
  async forward(path: string): Promise<string> {
    const here = join(this.#folder, `socket${this.#servers.length}`);
    const server = createServer((socket) => this.#join(socket, path));
    this.#servers.push(server);
    server.listen(here);
    await once(server, 'listening');
    return here;
  }

  /** ms of this host's time that the guest's processors have taken, all together. */
  get processorTime(): number {
    const threads = `/proc/${this.#machine.pid}/task`;
    let ticks = 0;
    for (const thread of readdirSync(threads)) {
      const stat = readFileSync(join(threads, thread, 'stat'), 'utf8');
      // proc(5): the name in parentheses is the second field; time in the user's and in the kernel's mode the 14th, 15th
      const [, name = '', rest = ''] = /\((.*)\) (.*)/s.exec(stat) ?? [];
      const fields = rest.split(' ');
      if (/^(CPU |ALL CPUs)/.test(name)) ticks += Number(fields[11]) + Number(fields[12]);
    }
    return ticks * (1000 / TICKS);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#lose(new LabError('GUEST', `guest ${this.name} is shut down`));
    for (const server of this.#servers) server.close();
    this.#channel?.destroy();
    await Promise.all([ended(this.#machine), ended(this.#files)]);
  }

  async #ready(): Promise<void> {
    const dead = once(this.#machine, 'exit').then(() => 'ended' as const);
    const late = new Promise<'late'>((resolve) => setTimeout(() => resolve('late'), BOOT_DEADLINE).unref());
    const answer = new Promise<'ready'>((resolve) => {
      this.#conversations.set(0, { hear: () => resolve('ready'), lost: () => undefined });
    });
    this.#channel = await Promise.race([
      connected(join(this.#folder, 'channel')),
      dead.then(() => undefined),
    ]);
    const channel = this.#channel;
    const lines = new Lines((line) => this.#hear(line));
    channel?.on('data', (bytes) => lines.push(bytes));
    channel?.on('error', () => undefined);
    const result = await Promise.race([answer, dead, late]);
    if (result !== 'ready') {
      const what =
        result === 'late' ? `did not answer in ${BOOT_DEADLINE / 1000} s` : 'ended while it booted';
      throw new LabError(
        'GUEST',
        `guest ${this.name} ${what}; the end of its console:\n${tail(this.console)}`,
      );
    }
    void dead.then(() => {
      if (!this.#closed)
        this.#lose(new LabError('GUEST', `guest ${this.name} ended:\n${tail(this.console)}`));
    });
  }

  #hear(line: string): void {
    const event = JSON.parse(line) as Event;
    this.#conversations.get(event.id)?.hear(event);
    if (event.event === 'exit' || event.event === 'closed') this.#conversations.delete(event.id);
  }

  #converse(conversation: Conversation): number {
    const id = ++this.#last;
    this.#conversations.set(id, conversation);
    return id;
  }

  #tell(request: Request): void {
    if (this.#gone) throw this.#gone;
    this.#channel?.write(encode(request));
  }

  #lose(error: LabError): void {
    this.#gone ??= error;
    for (const conversation of this.#conversations.values()) conversation.lost(error);
    this.#conversations.clear();
  }

  #join(socket: Socket, path: string): void {
    const id = this.#converse({
      hear: (event) => {
        if (event.event === 'data') socket.write(Buffer.from(event.data, 'base64'));
        else if (event.event === 'closed') socket.destroy();
      },
      lost: () => socket.destroy(),
    });
    const tell = (request: Request): void => {
      if (!this.#gone && this.#conversations.has(id)) this.#tell(request);
    };
    tell({ id, op: 'connect', path });
    socket.on('data', (data) => tell({ id, op: 'data', data: data.toString('base64') }));
    socket.on('end', () => tell({ id, op: 'end' }));
    socket.on('error', () => undefined);
    socket.on('close', () => tell({ id, op: 'end' }));
  }

  /** Of a guest that hangs: its processors are made to say where they are, which ends it. */
  async #autopsy(): Promise<string> {
    const files = this.#files.exitCode ?? this.#files.signalCode;
    const dead = once(this.#machine, 'exit');
    const monitor = connect(join(this.#folder, 'monitor'));
    monitor.on('error', () => undefined);
    monitor.write('nmi\n');
    await within(LAST_WORDS, dead);
    monitor.destroy();
    return `${tail(this.console, 200)}\n(its files were ${files === null ? 'served' : `not served any more: ${files}`})`;
  }

  #said(argv: readonly string[]): string {
    return `${this.name}: ${argv.join(' ').slice(0, 400)}`;
  }
}

class GuestProcess implements Conversation {
  readonly ended: Promise<Output>;
  readonly #what: string;
  readonly #waiting = new Set<() => void>();
  #stdout = '';
  #stderr = '';
  #end: (output: Output) => void = () => undefined;
  #fail: (error: LabError) => void = () => undefined;
  #over = false;

  constructor(what: string) {
    this.#what = what;
    this.ended = new Promise((resolve, reject) => {
      this.#end = resolve;
      this.#fail = reject;
    });
    // whoever does not wait for it must not be hit by it
    this.ended.catch(() => undefined);
  }

  hear(event: Event): void {
    if (event.event === 'stdout') this.#stdout += Buffer.from(event.data, 'base64').toString();
    else if (event.event === 'stderr') this.#stderr += Buffer.from(event.data, 'base64').toString();
    else if (event.event === 'exit') {
      this.#over = true;
      this.#end({ status: event.status, stdout: this.#stdout, stderr: this.#stderr });
    }
    for (const look of [...this.#waiting]) look();
  }

  lost(error: LabError): void {
    this.#over = true;
    this.#fail(error);
    for (const look of [...this.#waiting]) look();
  }

  async prints(text: string, timeout = PATIENCE): Promise<void> {
    const end = (how: string): LabError =>
      new LabError('COMMAND', `${this.#what} ${how} "${text}":\n${tail(this.#stdout + this.#stderr)}`);
    let look: () => void = () => undefined;
    let timer: NodeJS.Timeout | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        timer = setTimeout(() => reject(end(`did not say in ${timeout / 1000} s`)), timeout);
        look = () => {
          if ((this.#stdout + this.#stderr).includes(text)) resolve();
          else if (this.#over) reject(end('ended without'));
        };
        this.#waiting.add(look);
        look();
      });
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(look);
    }
  }
}

function tail(text: string, lines = 60): string {
  return text.trimEnd().split('\n').slice(-lines).join('\n');
}

/** undefined: not in that time. */
async function within<T>(ms: number, promise: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}

// ---- the processes

/** Their end is the end of whatever they serve: nothing of them outlives this process. */
const MORTAL = ['setpriv', '--pdeathsig', 'KILL'] as const;

/** The host's root, read-only, to one guest. */
async function serveFiles(folder: string): Promise<ChildProcess> {
  const socket = join(folder, 'files');
  const [program, args] = existsSync('/usr/libexec/virtiofsd')
    ? [
        '/usr/libexec/virtiofsd',
        [
          ...['--socket-path', socket, '--shared-dir', '/', '--sandbox', 'chroot', '--cache', 'always'],
          // overlayfs does not go into what the guest would mount by itself
          '--no-announce-submounts',
        ],
      ]
    : [
        '/usr/lib/qemu/virtiofsd',
        [`--socket-path=${socket}`, '-o', 'source=/', '-o', 'sandbox=chroot', '-o', 'cache=always'],
      ];
  if (!existsSync(program))
    throw new LabError('HOST', 'there is no virtiofsd: install qemu-system-common or virtiofsd');
  const [command, ...rest] = [...MORTAL, program, ...args];
  const child = spawn(command ?? '', rest, { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (text: Buffer) => (said = (said + text.toString()).slice(-2000)));
  }
  const dead = once(child, 'exit').then(() => false);
  if (!(await Promise.race([appears(socket), dead])))
    throw new LabError('HOST', `virtiofsd ended: ${said.trim()}`);
  return child;
}

/**
 * `tcg` is software emulation, everywhere the same; CABERNET_LAB_ACCEL=kvm where the host has it. The processor is an
 * old one on purpose: with `max` the kernel copies by `rep movsb`, which is emulated byte by byte, and its verifier,
 * which copies states all the time, takes twice as long. With `rdrand`, which that one had not, nobody waits for
 * randomness to be gathered. One thread for all processors of a guest: with one each, QEMU 7.2 may go on with code that
 * another processor has patched, and where a static key was switched a kernel's int3 never ends.
 */
function accelerator(): string[] {
  const wanted = process.env['CABERNET_LAB_ACCEL'] ?? 'tcg';
  if (wanted === 'kvm') return ['-accel', 'kvm', '-cpu', 'host'];
  if (wanted === 'tcg') return ['-accel', 'tcg,thread=single', '-cpu', 'Nehalem,+rdrand'];
  throw new LabError('HOST', `CABERNET_LAB_ACCEL is tcg or kvm, not ${wanted}`);
}

/**
 * A kernel that fails ends its guest, and tells where it was when it is asked by an NMI. What defends against other
 * tenants of a processor is a seventh of all time under emulation; root's BPF programs are verified the same without.
 */
const BOOT_OPTIONS = 'panic=-1 unknown_nmi_panic panic_print=0x40 mitigations=off nokaslr';

async function startMachine(options: GuestOptions, network: Network, folder: string): Promise<ChildProcess> {
  const { name, kernel, cpus = 1, memory = 1024, nics = [] } = options;
  const initrd = join(folder, 'initrd');
  const script = join(packageRoot, 'dist', 'lab', 'guest-main.js');
  writeFileSync(initrd, initramfs(kernel, { node: process.execPath, script, port: PORT }));
  const devices: string[] = [];
  for (const [i, nic] of nics.entries()) {
    const queues = nic.queues ?? 1;
    const tap = await network.tap(nic.wire, queues);
    const several = queues > 1 ? { mq: 'on', vectors: String(2 * queues + 2) } : {};
    const properties = { mac: nic.mac, ...several, ...nic.properties };
    devices.push(
      '-netdev',
      `tap,id=nic${i},ifname=${tap.name},script=no,downscript=no${queues > 1 ? `,queues=${queues}` : ''}`,
      '-device',
      [
        'virtio-net-pci',
        `netdev=nic${i}`,
        ...Object.entries(properties).map(([key, value]) => `${key}=${value}`),
      ].join(','),
    );
  }
  const [command, ...args] = [
    ...MORTAL,
    ...network.enter,
    'qemu-system-x86_64',
    ...accelerator(),
    ...['-nodefaults', '-no-user-config', '-nographic', '-no-reboot'],
    // threads by name, for processorTime
    ...['-name', `${name},debug-threads=on`],
    ...['-smp', String(cpus), '-m', String(memory)],
    ...['-object', `memory-backend-memfd,id=memory,size=${memory}M,share=on`, '-numa', 'node,memdev=memory'],
    ...['-kernel', kernel.image, '-initrd', initrd],
    ...['-append', `console=ttyS0 quiet ${BOOT_OPTIONS} net.ifnames=0 lab.name=${name}`],
    ...['-monitor', `unix:${join(folder, 'monitor')},server=on,wait=off`],
    ...['-serial', `file:${join(folder, 'console')}`],
    ...['-chardev', `socket,id=files,path=${join(folder, 'files')}`],
    ...['-device', `vhost-user-fs-pci,chardev=files,tag=${ROOT_TAG}`],
    ...['-device', 'virtio-serial-pci'],
    ...['-chardev', `socket,id=channel,path=${join(folder, 'channel')},server=on,wait=off`],
    ...['-device', `virtserialport,chardev=channel,name=${PORT}`],
    ...devices,
  ];
  const machine = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  machine.stderr.on('data', (text: Buffer) => (said = (said + text.toString()).slice(-2000)));
  machine.on('error', () => undefined);
  const dead = once(machine, 'exit').then(() => false);
  if (await Promise.race([appears(join(folder, 'channel')), dead])) return machine;
  throw new LabError('HOST', `QEMU ended: ${said.trim() || 'is qemu-system-x86 installed?'}`);
}

/** Resolves when there is such a file. */
async function appears(path: string): Promise<true> {
  while (!existsSync(path)) await new Promise((resolve) => setTimeout(resolve, 10));
  return true;
}

async function connected(path: string): Promise<Socket> {
  const socket = connect(path);
  await once(socket, 'connect');
  return socket;
}
