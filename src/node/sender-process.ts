/** BFD senders as the process list has them: they outlive whoever started them. */
import { readdirSync, readFileSync } from 'node:fs';

export interface SenderProcess {
  readonly pid: number;
  /** Folder of the pinned maps that it sends for. */
  readonly maps: string;
}

export function senderProcesses(): SenderProcess[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const words = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
      const maps = words[words.indexOf('--maps') + 1];
      return words[0]?.endsWith('/bfd-sender') && maps !== undefined ? [{ pid: Number(name), maps }] : [];
    } catch {
      // it has ended
      return [];
    }
  });
}

/** The one that sends for these maps; undefined: none does. */
export function senderOf(maps: string): number | undefined {
  return senderProcesses().find((sender) => sender.maps === maps)?.pid;
}
