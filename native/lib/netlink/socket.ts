// One socket for requests: whose answer arrives is told by its number. It keeps the process
// alive only while something is asked of the kernel.
import { BpfError } from '../error.js';
import { closedError } from './answers.js';
import { eachMessage } from './attributes.js';
import { DumpLine, isDumpSequence, type Dump } from './dumps.js';
import type { NativeNetlink } from './native.js';
import { RequestLine, type Errors, type Request } from './requests.js';

export class RequestSocket {
  readonly #native: NativeNetlink;
  readonly #requests: RequestLine;
  readonly #dumps: DumpLine;
  #busy = false;
  #closed = false;

  constructor(native: NativeNetlink) {
    this.#native = native;
    const send = (bytes: Uint8Array): Promise<void> => native.send(bytes);
    const onChange = (): void => this.#keepAlive();
    this.#requests = new RequestLine(native.receiveBuffer(), send, onChange);
    this.#dumps = new DumpLine(send, onChange);
    native.listen((block, ends, lost) => this.#receive(block, ends, lost));
    native.setRef(false);
  }

  /** Sends requests in order; what the kernel said to each, undefined where it agreed. */
  async run(operation: string, size: number, request: (i: number) => Request): Promise<Errors> {
    if (this.#closed) throw closedError(operation);
    return size === 0 ? [] : this.#requests.run(size, request);
  }

  /** One request; rejects when the kernel refuses it. */
  async one(request: Request): Promise<void> {
    const [error] = await this.run(request.operation, 1, () => request);
    if (error !== undefined) throw error;
  }

  /** Everything a dump yields. EINTR when the table never stops changing. */
  async dump<T>(dump: Dump<T>): Promise<T[]> {
    if (this.#closed) throw closedError(dump.operation);
    return this.#dumps.run(dump);
  }

  /** Ends everything in flight with ERR_CLOSED. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#native.close();
    this.#dumps.close();
    this.#requests.close();
  }

  #keepAlive(): void {
    const busy = this.#requests.busy || this.#dumps.busy;
    if (busy === this.#busy || this.#closed) return;
    this.#busy = busy;
    this.#native.setRef(busy);
  }

  #receive(block: ArrayBuffer, ends: Uint32Array, lost: boolean): void {
    let start = 0;
    let whole = !lost;
    for (const end of ends) {
      try {
        eachMessage(new Uint8Array(block, start, end - start), (message) => {
          if (isDumpSequence(message.sequence)) this.#dumps.receive(message);
          else this.#requests.receive(message);
        });
      } catch (error) {
        if (!(error instanceof BpfError)) throw error;
        whole = false;
      }
      start = end;
    }
    if (whole) return;
    this.#dumps.doubt();
    this.#requests.doubt();
  }
}
