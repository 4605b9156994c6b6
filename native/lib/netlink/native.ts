// What the addon's netlink socket offers, in types.
import { loadAddon } from '../addon.js';

/** Datagrams in one block, where each ends, and whether the kernel dropped some before these were read. */
export type OnReceive = (block: ArrayBuffer, ends: Uint32Array, lost: boolean) => void;

export interface NativeNetlink {
  listen(onReceive: OnReceive): void;
  join(group: number): void;
  send(bytes: Uint8Array): Promise<void>;
  sibling(receiveBuffer: number): NativeNetlink;
  receiveBuffer(): number;
  setRef(keepAlive: boolean): void;
  close(): void;
}

interface NetlinkAddon {
  readonly netlinkOpen: (
    netns: string | null,
    receiveBuffer: number,
    generic: boolean,
  ) => Promise<NativeNetlink>;
  readonly describeErrno: (errno: number) => { readonly code: string; readonly detail: string };
}

export const { netlinkOpen, describeErrno } = loadAddon<NetlinkAddon>();
