/**
 * Where the programs run: XDP links on interfaces, pinned so that they outlive the process, and the device table,
 * whose every entry carries the one egress program.
 */
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import {
  BpfError,
  type BpfMap,
  type BpfProgram,
  type Link,
  Netlink,
  XdpLink,
} from '../../native/lib/index.js';
import { DataPlaneError, type DataPlaneErrorCode, wrongArgument } from './errors.js';

/** `port`: wires and stations' cables; `vif`: the machine's ends of vifs' veths; `channel`: that of the BFD sender's. */
export type ProgramKind = 'port' | 'vif' | 'channel';

const KINDS: readonly ProgramKind[] = ['port', 'vif', 'channel'];

export interface Attachment {
  readonly program: ProgramKind;
  /** In the kernel. */
  readonly programId: number;
  readonly linkId: number;
}

export interface ProgramSet {
  readonly port: BpfProgram;
  readonly vif: BpfProgram;
  readonly channel: BpfProgram;
  readonly egress: BpfProgram;
  /** Run once. */
  readonly arm: BpfProgram;
}

export interface ProgramsOptions {
  readonly programs: ProgramSet;
  readonly devices: BpfMap;
  /** Where links are pinned, by interface index. */
  readonly folder: string;
  /** Path of the network namespace the interfaces are in; this process's own otherwise. */
  readonly netns: string | undefined;
  /** The programs know frames in several buffers. */
  readonly jumbo?: boolean;
  readonly log: (message: string) => void;
}

/** XDP_PASS */
const ARMED = 2;

/** What a refusal is about, as far as the kernel still knows it. */
interface Refused {
  /** The interface's name. */
  readonly name: string;
  /** The driver's own words; empty where it has none. */
  readonly words: string;
  readonly jumbo: boolean;
}

interface Refusal {
  readonly code: DataPlaneErrorCode;
  /** What is wrong. */
  readonly detail: string;
  /** What to do about it. */
  readonly remedy?: (refused: Refused) => string;
}

/** A frame of this MTU, with two VLAN tags, fits one page with XDP's headroom in every driver known. */
const LARGEST_PLAIN_MTU = 3498;

function lowerMtu({ name, words, jumbo }: Refused): string {
  const lower = `ip link set dev ${name} mtu ${LARGEST_PLAIN_MTU}`;
  const ends = /peer/i.test(words) ? ', and at its other end' : '';
  // virtio_net had no frames in several buffers before Linux 6.3, and did not speak of them
  const never = words === 'virtio_net: MTU too large to enable XDP';
  return jumbo || never ? `${lower}${ends}` : `${lower}${ends}; or start the agent with --jumbo`;
}

/** virtio_net: what the guest could switch off has been by now. */
const HOST_OFFLOADS: Refusal = {
  code: 'NOT_NATIVE',
  detail: 'its host merges frames or leaves checksums for it, and does not let it end that',
  remedy: () =>
    'define the device with ctrl_guest_offloads=on, or with guest_tso4=off,guest_tso6=off,guest_ecn=off,guest_ufo=off,guest_csum=off',
};
const MERGING: Refusal = {
  code: 'NOT_NATIVE',
  detail: 'frames are merged before XDP would see them',
  remedy: ({ name }) => `ethtool -K ${name} lro off rx-gro-hw off`,
};
const TOO_LONG: Refusal = {
  code: 'NOT_NATIVE',
  detail: 'its MTU is larger than native XDP allows on this driver',
  remedy: lowerMtu,
};
const FEW_QUEUES: Refusal = {
  code: 'NOT_NATIVE',
  detail: 'its peer has more transmit queues than it has receive queues',
  remedy: ({ name }) => `ethtool -L ${name} rx N, or make the veth with as many of both`,
};
const UNWILLING: Refusal = {
  code: 'NOT_NATIVE',
  detail: 'its driver has no native XDP, or not with the offloads that are on',
  remedy: ({ words }) => (words === '' ? 'use another interface' : 'change what its driver names'),
};

/** Why the kernel refuses an attachment, by its errno. */
const REFUSALS: Readonly<Record<string, Refusal>> = {
  EOPNOTSUPP: UNWILLING,
  ERANGE: TOO_LONG,
  ENOTCONN: { code: 'NOT_NATIVE', detail: 'it is a veth without a peer' },
  ENOSPC: FEW_QUEUES,
  EBUSY: {
    code: 'INTERFACE_BUSY',
    detail: 'another XDP program is attached: detach it first (ip link set dev … xdp off)',
  },
  EEXIST: {
    code: 'INTERFACE_BUSY',
    detail: 'another XDP program is attached in generic mode: detach it first',
  },
  ENODEV: { code: 'INTERFACE_MISSING', detail: 'there is no interface with this index' },
};

/** Drivers differ in the errno for the same thing; what they say tells more. */
const BY_WORDS: readonly (readonly [RegExp, Refusal])[] = [
  [/\bMTU\b/i, TOO_LONG],
  [/host is implementing/i, HOST_OFFLOADS],
  [/\bLRO\b|GRO_HW|\bRSC\b/i, MERGING],
  [/rx queues/i, FEW_QUEUES],
];

/** Errnos by which a driver refuses what it was asked to run. */
const BY_DRIVER: ReadonlySet<string> = new Set([
  'EINVAL',
  'EOPNOTSUPP',
  'ERANGE',
  'ENOSPC',
  'ENOMEM',
  'EPERM',
]);

export class Programs {
  readonly #options: ProgramsOptions;
  readonly #links = new Map<number, { link: XdpLink; program: ProgramKind }>();

  constructor(options: ProgramsOptions) {
    this.#options = options;
    mkdirSync(options.folder, { recursive: true, mode: 0o700 });
  }

  /**
   * Puts these programs in the place of an earlier start's: the egress program in the device table first, since the
   * entries of one poll must agree with what either ingress program tags, then the links.
   */
  adopt(roleOf: (ifindex: number) => ProgramKind): void {
    const { devices, folder, log } = this.#options;
    for (let ifindex = 1; ifindex < devices.maxEntries; ifindex++) {
      if (devices.lookup(wordBytes(ifindex)) !== undefined) this.setDevice(ifindex);
    }
    for (const name of readdirSync(folder)) {
      const path = join(folder, name);
      const ifindex = Number(name);
      let link: XdpLink | undefined;
      try {
        link = XdpLink.openPinned(path);
        if (link.info().ifindex !== ifindex) throw new Error('its interface is gone');
        const program = roleOf(ifindex);
        link.update(this.#options.programs[program]);
        this.#links.set(ifindex, { link, program });
      } catch (error) {
        log(`link ${name} was not adopted: ${error instanceof Error ? error.message : String(error)}`);
        link?.close();
        rmSync(path, { force: true });
      }
    }
  }

  /**
   * Runs a program on all that arrives at an interface, in its driver. `NOT_NATIVE`, `INTERFACE_BUSY` or
   * `INTERFACE_MISSING` when that cannot be.
   */
  async attach(ifindex: number, program: ProgramKind): Promise<void> {
    const { programs, netns } = this.#options;
    if (!KINDS.includes(program)) throw wrongArgument('attach', 'program', `one of ${KINDS.join(', ')}`);
    this.#check(ifindex, 'attach');
    const present = this.#links.get(ifindex);
    if (present !== undefined && present.link.info().ifindex === ifindex) {
      if (present.program !== program) present.link.update(programs[program]);
      this.#links.set(ifindex, { link: present.link, program });
      return;
    }
    this.#forget(ifindex);
    try {
      const link = await programs[program].attachXdpAsync(ifindex, {
        mode: 'native',
        ...(netns === undefined ? {} : { netns }),
      });
      try {
        link.pin(this.#path(ifindex));
      } catch (error) {
        link.close();
        throw error;
      }
      this.#links.set(ifindex, { link, program });
    } catch (cause) {
      throw await this.#refused(ifindex, programs[program], cause);
    }
  }

  /** Starts the timer of the sweep, or has it go on with these programs. */
  async arm(): Promise<void> {
    const { retval } = await this.#options.programs.arm.testRun({ data: new Uint8Array(64) });
    if (retval === ARMED) return;
    const detail = 'the kernel did not start the timer of the sweep';
    throw new DataPlaneError({ code: 'KERNEL', operation: 'armSweep', subject: 'sweep_timers', detail });
  }

  /** Nothing runs on the interface any more; no error when nothing did. */
  async detach(ifindex: number): Promise<void> {
    const present = this.#links.get(ifindex);
    try {
      if (present !== undefined && present.link.info().ifindex !== 0) present.link.detach();
    } catch (cause) {
      // an interface that goes at this moment takes its link with it
      if (!(cause instanceof BpfError && cause.code === 'ENOLINK')) throw refusal('detach', ifindex, cause);
    } finally {
      this.#forget(ifindex);
    }
  }

  /** Interfaces that exist and run a program of ours. */
  attached(): Map<number, Attachment> {
    const found = new Map<number, Attachment>();
    for (const [ifindex, { link, program }] of this.#links) {
      const info = link.info();
      if (info.ifindex === ifindex)
        found.set(ifindex, { program, programId: info.programId, linkId: info.id });
    }
    return found;
  }

  /** Frames may leave by this interface. */
  setDevice(ifindex: number): void {
    const { devices, netns, programs } = this.#options;
    this.#check(ifindex, 'setDevice');
    try {
      devices.setDevice(ifindex, { ifindex, program: programs.egress }, netns === undefined ? {} : { netns });
    } catch (cause) {
      if (cause instanceof BpfError && cause.code === 'EINVAL') {
        const { code, detail } = REFUSALS['ENODEV'] ?? { code: 'KERNEL', detail: cause.detail };
        throw new DataPlaneError({
          code,
          operation: 'setDevice',
          subject: `interface ${ifindex}`,
          detail,
          cause,
        });
      }
      throw refusal('setDevice', ifindex, cause);
    }
  }

  /** No frame leaves by this interface any more; false when none did. */
  clearDevice(ifindex: number): boolean {
    this.#check(ifindex, 'clearDevice');
    const key = wordBytes(ifindex);
    if (this.#options.devices.lookup(key) === undefined) return false;
    this.#options.devices.delete(key);
    return true;
  }

  /** Interfaces frames may leave by. */
  devices(): number[] {
    const { devices } = this.#options;
    const indices = Array.from({ length: devices.maxEntries }, (_, ifindex) => ifindex);
    return indices.filter((ifindex) => devices.lookup(wordBytes(ifindex)) !== undefined);
  }

  /** Detaches everything. */
  async detachAll(): Promise<void> {
    for (const ifindex of [...this.#links.keys()]) await this.detach(ifindex);
  }

  /** Gives the handles back; what is pinned goes on. */
  close(): void {
    for (const { link } of this.#links.values()) link.close();
    this.#links.clear();
    for (const program of Object.values(this.#options.programs) as BpfProgram[]) program.close();
  }

  /** Why it was not attached: what is wrong, the driver's own words, what to do. */
  async #refused(ifindex: number, program: BpfProgram, cause: unknown): Promise<unknown> {
    if (!(cause instanceof BpfError) || !BY_DRIVER.has(cause.code)) return refusal('attach', ifindex, cause);
    const { netns, jumbo = false } = this.#options;
    const place = netns === undefined ? {} : { netns };
    let link: Link | undefined;
    let words = '';
    try {
      words = (await program.attachRefusal(ifindex, { mode: 'native', ...place })) ?? '';
      const netlink = await Netlink.open(place);
      try {
        link = await netlink.link(ifindex);
      } finally {
        netlink.close();
      }
    } catch (error) {
      // the refusal itself is what matters
      if (!(error instanceof BpfError)) throw error;
    }
    const { detail, remedy, code } = refusalOf(cause, words);
    const said = words === '' ? detail : `${detail} (“${words}”)`;
    const how = remedy && link && remedy({ name: link.name, words, jumbo });
    return new DataPlaneError({
      code,
      operation: 'attach',
      subject: `interface ${ifindex}`,
      detail: how === undefined ? said : `${said}: ${how}`,
      cause,
    });
  }

  #path(ifindex: number): string {
    return join(this.#options.folder, String(ifindex));
  }

  #forget(ifindex: number): void {
    this.#links.get(ifindex)?.link.close();
    this.#links.delete(ifindex);
    rmSync(this.#path(ifindex), { force: true });
  }

  #check(ifindex: number, operation: string): void {
    const { maxEntries } = this.#options.devices;
    if (Number.isInteger(ifindex) && ifindex > 0 && ifindex < maxEntries) return;
    throw wrongArgument(
      operation,
      `interface ${ifindex}`,
      `an index from 1 to ${maxEntries - 1} (capacities.interfaces)`,
    );
  }
}

function wordBytes(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}

function refusalOf(cause: BpfError, words: string): Refusal {
  const known = BY_WORDS.find(([pattern]) => pattern.test(words))?.[1] ?? REFUSALS[cause.code];
  if (known) return known;
  // a driver that explains itself has refused this interface as it is
  return words === '' ? { code: 'KERNEL', detail: cause.detail } : UNWILLING;
}

function refusal(operation: string, ifindex: number, cause: unknown): unknown {
  if (!(cause instanceof BpfError)) return cause;
  const { code, detail } = refusalOf(cause, '');
  return new DataPlaneError({ code, detail, operation, subject: `interface ${ifindex}`, cause });
}
