/**
 * The wires between guests: a bridge each, in a network namespace that nobody else sees and that goes with the process
 * that holds it. The guests' ends are taps, which carry the offloads that virtio NICs have: checksums left to be
 * finished, segments left to be cut.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { promisify } from 'node:util';
import { LabError } from './errors.js';

const run = promisify(execFile);

/** The largest that any test wants; a wire's own is what its NICs are set to. */
const BRIDGE_MTU = 9800;

export interface Tap {
  readonly name: string;
  readonly queues: number;
}

export class Network {
  readonly #holder: ChildProcess;
  readonly #wires = new Map<string, string>();
  #taps = 0;

  private constructor(holder: ChildProcess) {
    this.#holder = holder;
  }

  static async open(): Promise<Network> {
    const holder = spawn(
      'setpriv',
      [
        '--pdeathsig',
        'KILL',
        'unshare',
        '--net',
        'sh',
        '-c',
        'ip link set lo up && echo ready && exec sleep infinity',
      ],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    let said = '';
    const ready = await new Promise<boolean>((resolve) => {
      holder.stdout.once('data', () => resolve(true));
      holder.stderr.on('data', (text: Buffer) => (said += text.toString()));
      holder.once('error', () => resolve(false));
      holder.once('exit', () => resolve(false));
    });
    if (!ready) throw new LabError('HOST', `no network namespace can be made: ${said.trim()}`);
    return new Network(holder);
  }

  /** Of commands in the namespace. */
  get enter(): readonly string[] {
    return ['nsenter', `--net=/proc/${this.#holder.pid}/ns/net`, '--'];
  }

  /** A new end of the wire of this name. */
  async tap(wire: string, queues: number): Promise<Tap> {
    const bridge = await this.#bridge(wire);
    const name = `tap${this.#taps++}`;
    const several = queues > 1 ? ['multi_queue'] : [];
    await this.#ip('tuntap', 'add', 'dev', name, 'mode', 'tap', ...several, 'vnet_hdr');
    await this.#ip('link', 'set', name, 'mtu', String(BRIDGE_MTU), 'master', bridge, 'up');
    // other than a bridge between strangers: nothing comes between the two, not even IPv6 of the host
    await this.#shell(`echo 1 >/proc/sys/net/ipv6/conf/${name}/disable_ipv6`);
    return { name, queues };
  }

  /** Takes a wire's carrier away at every end, or gives it back. */
  async setWire(wire: string, up: boolean): Promise<void> {
    await this.#ip('link', 'set', await this.#bridge(wire), up ? 'up' : 'down');
  }

  async close(): Promise<void> {
    if (this.#holder.exitCode !== null || this.#holder.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#holder.once('exit', resolve));
    this.#holder.kill('SIGKILL');
    await ended;
  }

  async #bridge(wire: string): Promise<string> {
    const known = this.#wires.get(wire);
    if (known !== undefined) return known;
    const name = `wire${this.#wires.size}`;
    this.#wires.set(wire, name);
    await this.#ip('link', 'add', name, 'type', 'bridge', 'mcast_snooping', '0', 'stp_state', '0');
    await this.#shell(`echo 1 >/proc/sys/net/ipv6/conf/${name}/disable_ipv6`);
    await this.#ip('link', 'set', name, 'up');
    return name;
  }

  #ip(...args: string[]): Promise<void> {
    return this.#run('ip', ...args);
  }

  #shell(script: string): Promise<void> {
    return this.#run('sh', '-c', script);
  }

  async #run(...command: string[]): Promise<void> {
    const [first = '', ...rest] = [...this.enter, ...command];
    try {
      await run(first, rest);
    } catch (cause) {
      const { stderr = '' } = cause as { stderr?: string };
      throw new LabError('HOST', `${command.join(' ')}: ${stderr.trim()}`, { cause });
    }
  }
}
