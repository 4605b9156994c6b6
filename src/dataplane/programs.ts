/**
 * Where the programs run: XDP links on interfaces, pinned so that they outlive the process, and the device table,
 * whose every entry carries the one egress program.
 */
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { BpfError, XdpLink, type BpfMap, type BpfProgram } from '../../native/lib/index.js';
import { DataPlaneError, type DataPlaneErrorCode, wrongArgument } from './errors.js';

/** `port`: wires and stations' cables; `vif`: the machine's ends of vifs' veths. */
export type ProgramKind = 'port' | 'vif';

export interface Attachment {
  readonly program: ProgramKind;
  /** In the kernel. */
  readonly programId: number;
  readonly linkId: number;
}

export interface ProgramSet {
  readonly port: BpfProgram;
  readonly vif: BpfProgram;
  readonly egress: BpfProgram;
}

export interface ProgramsOptions {
  readonly programs: ProgramSet;
  readonly devices: BpfMap;
  /** Where links are pinned, by interface index. */
  readonly folder: string;
  /** Path of the network namespace the interfaces are in; this process's own otherwise. */
  readonly netns: string | undefined;
  readonly log: (message: string) => void;
}

/** Why the kernel refuses an attachment. */
const REFUSALS: Readonly<Record<string, { code: DataPlaneErrorCode; detail: string }>> = {
  EOPNOTSUPP: {
    code: 'NOT_NATIVE',
    detail: 'its driver has no native XDP, or not with the offloads that are on',
  },
  ERANGE: { code: 'NOT_NATIVE', detail: 'its MTU is larger than native XDP allows on this driver: lower it' },
  ENOTCONN: { code: 'NOT_NATIVE', detail: 'it is a veth without a peer' },
  ENOSPC: { code: 'NOT_NATIVE', detail: 'its peer has more transmit queues than it has receive queues' },
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
    if (program !== 'port' && program !== 'vif') throw wrongArgument('attach', 'program', "'port' or 'vif'");
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
      throw refusal('attach', ifindex, cause);
    }
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

function refusal(operation: string, ifindex: number, cause: unknown): unknown {
  if (!(cause instanceof BpfError)) return cause;
  const known = REFUSALS[cause.code] ?? { code: 'KERNEL', detail: cause.detail };
  return new DataPlaneError({ ...known, operation, subject: `interface ${ifindex}`, cause });
}
