// Dumps: whole tables, one after the other, as the kernel runs one at a time per socket. A
// table that changed while it was dumped is dumped again.
import { BpfError } from '../error.js';
import { asBpfError, closedError, refusal } from './answers.js';
import { Writer, type Message, type Payload } from './attributes.js';
import { NLM_F, NLMSG } from './constants.js';

export interface Dump<T> {
  readonly operation: string;
  readonly write: (writer: Writer) => void;
  /** Undefined: not one of those wanted. */
  readonly read: (payload: Payload) => T | undefined;
}

interface Running {
  readonly operation: string;
  readonly start: () => void;
  readonly receive: (message: Message) => void;
  /** What was received so far is not the whole table. */
  readonly interrupt: () => void;
  readonly fail: (error: BpfError) => void;
  sequence: number;
}

const ATTEMPTS = 20;

// The numbers of dumps have the top bit set, those of other requests do not.
const FIRST_SEQUENCE = 0x80000000;

export function isDumpSequence(sequence: number): boolean {
  return sequence >= FIRST_SEQUENCE;
}

export class DumpLine {
  readonly #send: (bytes: Uint8Array) => Promise<void>;
  readonly #onChange: () => void;
  #line: Running[] = [];
  #sequence = 0;

  /** `onChange` is called whenever `busy` may have changed. */
  constructor(send: (bytes: Uint8Array) => Promise<void>, onChange: () => void) {
    this.#send = send;
    this.#onChange = onChange;
  }

  get busy(): boolean {
    return this.#line.length > 0;
  }

  run<T>(dump: Dump<T>): Promise<T[]> {
    return new Promise((resolve, reject) => {
      this.#line.push(this.#prepare(dump, resolve, reject));
      if (this.#line.length === 1) this.#startNext();
    });
  }

  receive(message: Message): void {
    const running = this.#line[0];
    if (message.sequence === running?.sequence) running.receive(message);
  }

  /** Some message was lost. */
  doubt(): void {
    this.#line[0]?.interrupt();
  }

  close(): void {
    for (const dump of this.#line.splice(0)) dump.fail(closedError(dump.operation));
  }

  #startNext(): void {
    this.#onChange();
    this.#line[0]?.start();
  }

  #prepare<T>(dump: Dump<T>, resolve: (found: T[]) => void, reject: (error: BpfError) => void): Running {
    const { operation } = dump;
    let found: T[] = [];
    let attempts = 0;
    let interrupted = false;
    let failure: BpfError | undefined;

    const finish = (): void => {
      this.#line.shift();
      if (failure === undefined) resolve(found);
      else reject(failure);
      this.#startNext();
    };

    const start = (): void => {
      attempts++;
      found = [];
      interrupted = false;
      this.#sequence = (this.#sequence + 1) % FIRST_SEQUENCE;
      running.sequence = FIRST_SEQUENCE + this.#sequence;
      const writer = new Writer(128);
      try {
        dump.write(writer);
      } catch (error) {
        failure = asBpfError(error, operation, '');
        finish();
        return;
      }
      writer.end(running.sequence);
      this.#send(writer.bytes).catch((error: unknown) => {
        if (this.#line[0] !== running) return;
        failure = asBpfError(error, operation, '');
        finish();
      });
    };

    const end = (message: Message): void => {
      failure ??= refusal(operation, '', message);
      if (failure !== undefined || !interrupted) {
        finish();
      } else if (attempts < ATTEMPTS) {
        start();
      } else {
        const detail = `the table changed during each of ${attempts} dumps; try again later`;
        failure = new BpfError({ code: 'EINTR', operation, detail });
        finish();
      }
    };

    const receive = (message: Message): void => {
      if ((message.flags & NLM_F.DUMP_INTR) !== 0) interrupted = true;
      if (message.type === NLMSG.ERROR || message.type === NLMSG.DONE) {
        end(message);
        return;
      }
      try {
        const object = dump.read(message.payload);
        if (object !== undefined) found.push(object);
      } catch (error) {
        failure ??= asBpfError(error, operation, '');
      }
    };

    const interrupt = (): void => {
      interrupted = true;
    };
    const running: Running = { operation, start, receive, interrupt, fail: reject, sequence: 0 };
    return running;
  }
}
