/**
 * The BFD sender: a process of its own (native-tools/bfd-sender), because what it sends every millisecond must not wait
 * for JavaScript, and must go on when the agent does not. It is there from the first session on, given its frames'
 * way into the data plane, found again by the next agent, and started again when it ends.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { PortRole } from '../../gen/layout.js';
import { type Link, setFeatures } from '../../native/lib/index.js';
import { type Logger } from '../api/log.js';
import { type DataPlane } from '../dataplane/index.js';
import { silence } from './namespace.js';
import { type NetState } from './net-state.js';
import { senderOf } from './sender-process.js';

/** The data plane's end of the veth, and the sender's. */
const CHANNEL = 'cbfd0';
const SENDER = 'cbfd1';

/** Between looks at a sender that is not our child, and before one that has ended is started again. */
const PAUSE_MS = 1_000;

export interface SenderOptions {
  readonly plane: DataPlane;
  readonly net: NetState;
  readonly pinDir: string;
  readonly log: Logger;
}

/** Upward from here: build/native-tools of the sources, and of what is compiled from them. */
function senderPath(): string {
  const file = join('build', 'native-tools', 'bfd-sender');
  const start = dirname(fileURLToPath(import.meta.url));
  for (let at = start; ; at = dirname(at)) {
    if (existsSync(join(at, file))) return join(at, file);
    if (dirname(at) === at) throw new Error(`${file} is not built: run npm run setup`);
  }
}

export class Sender {
  readonly #options: SenderOptions;
  readonly #maps: string;
  /** Of the channel's interface; 0: there is none yet. */
  #channel = 0;
  #child: ChildProcess | undefined;
  #timer: NodeJS.Timeout | undefined;
  #running = false;
  #closed = false;

  constructor(options: SenderOptions) {
    this.#options = options;
    this.#maps = join(options.pinDir, 'maps');
  }

  /** Index of the interface that its frames arrive on; 0: none. */
  get channel(): number {
    return this.#channel;
  }

  /** Somebody has a session: from now on it runs. */
  async need(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    try {
      await this.#makeChannel();
      await this.#options.plane.armSweep();
    } catch (error) {
      this.#running = false;
      throw error;
    }
    this.#keep();
  }

  /** The sender and the sweep go on. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#child?.removeAllListeners('exit');
    this.#child?.unref();
  }

  async #makeChannel(): Promise<void> {
    const { plane, net } = this.#options;
    const [channel, sender] = (await this.#find()) ?? (await this.#make());
    for (const link of [channel, sender]) {
      await silence(net.netns, link.name);
      if (!link.up) await net.netlink.setLink(link.index, { up: true });
      await net.refreshLink(link.index);
    }
    await setFeatures(net.place(channel.name), { gro: true });
    plane.setPort(channel.index, { role: PortRole.PORT_CHANNEL });
    await plane.attach(channel.index, 'channel');
    this.#channel = channel.index;
  }

  async #find(): Promise<[Link, Link] | undefined> {
    const { netlink } = this.#options.net;
    const [channel, sender] = [await netlink.link(CHANNEL), await netlink.link(SENDER)];
    return channel && sender && channel.peerIndex === sender.index ? [channel, sender] : undefined;
  }

  async #make(): Promise<[Link, Link]> {
    const { netlink } = this.#options.net;
    for (const name of [CHANNEL, SENDER]) {
      const old = await netlink.link(name);
      if (old) await netlink.deleteLink(old.index);
    }
    const channel = await netlink.addLink({ kind: 'veth', name: CHANNEL, peer: { name: SENDER } });
    const sender = await netlink.link(SENDER);
    if (!sender) throw new Error(`${SENDER} is not there, although it was made`);
    return [channel, sender];
  }

  /** One runs: an earlier agent's, or one of ours. */
  #keep(): void {
    if (this.#closed) return;
    const found = this.#child ? undefined : senderOf(this.#maps);
    if (found === undefined) this.#start();
    else {
      this.#timer = setTimeout(() => this.#keep(), PAUSE_MS);
      this.#timer.unref();
    }
  }

  #start(): void {
    const { net, log } = this.#options;
    const command = [senderPath(), '--maps', this.#maps, '--interface', SENDER];
    // not `ip netns exec`: it mounts another /sys, without the BPF file system
    const [file = '', ...args] =
      net.netns === undefined ? command : ['nsenter', `--net=${net.netns}`, ...command];
    const child = spawn(file, args, { stdio: ['ignore', 'ignore', 'pipe'], detached: true });
    this.#child = child;
    child.unref();
    child.stderr?.on('data', (text: Buffer) => log.warn('bfd sender', { says: text.toString().trim() }));
    (child.stderr as unknown as { unref?: () => void } | null)?.unref?.();
    child.on('error', (error) => log.error('bfd sender', { error }));
    child.on('exit', (code, signal) => {
      this.#child = undefined;
      if (this.#closed) return;
      log.error('bfd sender ended, and is started again', { code, signal });
      this.#timer = setTimeout(() => this.#keep(), PAUSE_MS);
      this.#timer.unref();
    });
  }
}
