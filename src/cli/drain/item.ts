/** What crosses what is drained, and what became of it. */

/**
 * `moved`: it crosses no longer. `moving`: it still does, and is being led elsewhere. `idle`: it stays, and carries nothing.
 * `backup`: only while all else is down. `stays`: it carries, or nobody can say that it does not. `back`: after --undo, where it
 * was. `elsewhere`: after --undo, not where it was.
 */
export type Result = 'moved' | 'moving' | 'idle' | 'backup' | 'stays' | 'back' | 'elsewhere';

export interface Item {
  readonly name: string;
  readonly result: Result;
  /** A sentence; empty where there is nothing to explain. */
  readonly why: string;
  /** It will not change by itself: nothing is to be waited for. */
  readonly final?: boolean;
}

const FINE: ReadonlySet<Result> = new Set(['moved', 'idle', 'backup', 'back']);

export function isFine({ result }: Item): boolean {
  return FINE.has(result);
}

/** What is drained, and how one sees what crosses it. */
export interface Subject {
  /** Its full name. */
  readonly name: string;
  /** @returns false: it was so already */
  mark(undo: boolean): Promise<boolean>;
  /** As it is now; called again and again. */
  look(undo: boolean): Promise<readonly Item[]>;
  close(): void;
}
