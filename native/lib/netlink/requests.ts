// Requests and their answers on one netlink socket. Changes and look-ups are numbered, packed
// many to a datagram and sent in order, one datagram at a time; only the last message of a
// datagram asks to be acknowledged, since the kernel reports every failure unasked and works
// in order. Dumps have a line of their own, as the kernel runs one at a time per socket.
import { BpfError } from '../error.js';
import { eachMessage, type Message, type Payload, Writer } from './attributes.js';
import { Descriptors } from './check.js';
import { NLM_F, NLMSG, NLMSGERR_ATTR } from './constants.js';
import { describeErrno, type NativeNetlink } from './native.js';

export interface Request {
  /** Of the error: what was attempted, and on what. */
  readonly operation: string;
  readonly subject: () => string;
  /** Writes the whole message but for its number. May throw; then nothing is sent of it. */
  readonly write: (writer: Writer, descriptors: Descriptors) => void;
  /** Takes an answer other than the acknowledgement. */
  readonly receive?: (payload: Payload) => void;
}

export interface Dump<T> {
  readonly operation: string;
  readonly write: (writer: Writer) => void;
  /** Undefined: not one of those wanted. */
  readonly read: (payload: Payload) => T | undefined;
}

/** Requests that are answered together. */
interface Job {
  readonly size: number;
  readonly request: (i: number) => Request;
  readonly errors: Array<BpfError | undefined>;
  readonly resolve: (errors: Array<BpfError | undefined>) => void;
  /** The first request not yet sent. */
  next: number;
  unanswered: number;
}

/** What one datagram carried: request k has the number `first` + k. */
interface Flight {
  readonly first: number;
  readonly sent: Array<{ readonly job: Job; readonly index: number; readonly request: Request }>;
  readonly descriptors: Descriptors;
}

interface RunningDump {
  readonly operation: string;
  readonly start: () => void;
  readonly receive: (message: Message) => void;
  readonly fail: (error: BpfError) => void;
  sequence: number;
}

const DATAGRAM_BYTES = 64 * 1024;
const DATAGRAM_REQUESTS = 1024;

// What an answer occupies in the receive buffer, generously: an acknowledgement, an object.
const ANSWER_BYTES = 2048;
const ANSWERS_PER_OBJECT = 8;

/** A table that changes while it is dumped is dumped again, this often. */
const DUMP_ATTEMPTS = 20;

function readAnswer(message: Message): { errno: number; text: string | undefined } {
  const { payload, flags, type } = message;
  const errno = payload.length >= 4 ? -payload.i32(0) : 0;
  let text: string | undefined;
  if ((flags & NLM_F.ACK_TLVS) !== 0 && errno !== 0) {
    let offset = 4;
    // An error repeats the header of its request, and the rest of it unless told not to.
    if (type === NLMSG.ERROR) offset += (flags & NLM_F.CAPPED) !== 0 ? 16 : (payload.u32(4) + 3) & ~3;
    payload.attributes(offset, (attribute, value) => {
      if (attribute === NLMSGERR_ATTR.MSG) text = value.string();
    });
  }
  return { errno, text };
}

function refusal(operation: string, subject: string, message: Message): BpfError | undefined {
  const { errno, text } = readAnswer(message);
  if (errno === 0) return undefined;
  const known = errno > 0 && errno < 4096;
  const { code, detail } = known
    ? describeErrno(errno)
    : { code: 'EBADMSG', detail: 'an answer without sense' };
  return new BpfError({
    code,
    operation,
    ...(subject === '' ? {} : { subject }),
    detail: text === undefined ? detail : `${detail}: ${text}`,
    ...(known ? { errno } : {}),
  });
}

function asBpfError(error: unknown, operation: string, subject: string): BpfError {
  if (error instanceof BpfError) return error;
  const detail = error instanceof Error ? error.message : String(error);
  return new BpfError({ code: 'ERR_ARGUMENT', operation, ...(subject === '' ? {} : { subject }), detail });
}

export class Requests {
  readonly #native: NativeNetlink;
  readonly #writer = new Writer(DATAGRAM_BYTES);
  readonly #perDatagram: number;
  #sequence = 0;
  #jobs: Job[] = [];
  #flight: Flight | undefined;
  #dumps: RunningDump[] = [];
  #busy = false;
  #closed = false;

  constructor(native: NativeNetlink) {
    this.#native = native;
    const answers = Math.floor(native.receiveBuffer() / 2 / ANSWER_BYTES);
    this.#perDatagram = Math.max(1, Math.min(DATAGRAM_REQUESTS, answers));
    native.listen((block, ends, lost) => this.#receive(block, ends, lost));
    native.setRef(false);
  }

  /** Sends requests in order; what the kernel said to each, undefined where it agreed. */
  run(size: number, request: (i: number) => Request): Promise<Array<BpfError | undefined>> {
    return new Promise((resolve, reject) => {
      if (this.#closed) {
        reject(this.#closedError(size > 0 ? request(0).operation : 'batch'));
        return;
      }
      const errors = Array.from<undefined>({ length: size });
      this.#jobs.push({ size, request, errors, resolve, next: 0, unanswered: size });
      this.#pump();
    });
  }

  /** One request; rejects when the kernel refuses it. */
  async one(request: Request): Promise<void> {
    const [error] = await this.run(1, () => request);
    if (error !== undefined) throw error;
  }

  /** Everything a dump yields. Begun anew when the table changed meanwhile: EINTR when it never stops changing. */
  dump<T>(dump: Dump<T>): Promise<T[]> {
    return new Promise((resolve, reject) => {
      if (this.#closed) {
        reject(this.#closedError(dump.operation));
        return;
      }
      this.#dumps.push(this.#prepareDump(dump, resolve, reject));
      if (this.#dumps.length === 1) this.#startDump();
    });
  }

  /** Ends everything in flight with ERR_CLOSED. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#native.close();
    for (const dump of this.#dumps.splice(0)) dump.fail(this.#closedError(dump.operation));
    this.#flight?.descriptors.close();
    this.#flight = undefined;
    for (const job of this.#jobs.splice(0)) {
      for (let i = 0; i < job.size; i++) job.errors[i] ??= this.#closedError('netlink');
      job.resolve(job.errors);
    }
  }

  get closed(): boolean {
    return this.#closed;
  }

  #closedError(operation: string): BpfError {
    return new BpfError({ code: 'ERR_CLOSED', operation, detail: 'the netlink socket is closed' });
  }

  #nextSequence(): number {
    this.#sequence = (this.#sequence + 1) >>> 0;
    return this.#sequence;
  }

  // An idle socket does not keep the process alive.
  #updateRef(): void {
    const busy = this.#jobs.length > 0 || this.#dumps.length > 0;
    if (busy === this.#busy || this.#closed) return;
    this.#busy = busy;
    this.#native.setRef(busy);
  }

  #settle(job: Job, index: number, error: BpfError | undefined): void {
    if (error !== undefined) job.errors[index] = error;
    job.unanswered--;
  }

  #finishJobs(): void {
    const done = this.#jobs.filter((job) => job.unanswered === 0);
    if (done.length === 0) return;
    this.#jobs = this.#jobs.filter((job) => job.unanswered > 0);
    for (const job of done) job.resolve(job.errors);
  }

  #pump(): void {
    if (this.#flight === undefined && !this.#closed) {
      const flight = this.#fill();
      this.#finishJobs();
      if (flight !== undefined) this.#launch(flight);
    }
    this.#updateRef();
  }

  // Packs what waits into one datagram; undefined when nothing was worth sending.
  #fill(): Flight | undefined {
    const writer = this.#writer;
    writer.clear();
    const flight: Flight = { first: (this.#sequence + 1) >>> 0, sent: [], descriptors: new Descriptors() };
    let room = this.#perDatagram;
    let last = 0;
    for (const job of this.#jobs) {
      while (job.next < job.size && room > 0 && writer.length < DATAGRAM_BYTES) {
        const index = job.next++;
        const start = writer.length;
        let request: Request | undefined;
        try {
          request = job.request(index);
          request.write(writer, flight.descriptors);
        } catch (error) {
          writer.truncate(start);
          this.#settle(
            job,
            index,
            asBpfError(error, request?.operation ?? 'batch', request?.subject() ?? ''),
          );
          continue;
        }
        writer.end(this.#nextSequence());
        flight.sent.push({ job, index, request });
        last = start;
        room -= request.receive === undefined ? 1 : ANSWERS_PER_OBJECT;
      }
    }
    if (flight.sent.length === 0) {
      flight.descriptors.close();
      return undefined;
    }
    writer.addFlags(last, NLM_F.ACK);
    return flight;
  }

  #launch(flight: Flight): void {
    this.#flight = flight;
    this.#native.send(this.#writer.bytes).catch((error: unknown) => this.#land(flight, error));
  }

  // The flight is over: `error` for all, or what the answers said.
  #land(flight: Flight, error?: unknown): void {
    if (this.#flight !== flight) return;
    this.#flight = undefined;
    flight.descriptors.close();
    for (const { job, index, request } of flight.sent) {
      let failure = job.errors[index];
      if (error !== undefined) failure ??= asBpfError(error, request.operation, request.subject());
      this.#settle(job, index, failure);
    }
    this.#finishJobs();
    this.#pump();
  }

  #receive(block: ArrayBuffer, ends: Uint32Array, lost: boolean): void {
    let start = 0;
    for (const end of ends) {
      eachMessage(new Uint8Array(block, start, end - start), (message) => this.#dispatch(message));
      start = end;
    }
    const flight = this.#flight;
    if (lost && flight !== undefined) {
      const detail = 'the answer was lost; whether it was done is not known';
      this.#land(flight, new BpfError({ code: 'ENOBUFS', operation: 'netlink', detail }));
    }
  }

  #dispatch(message: Message): void {
    const dump = this.#dumps[0];
    if (dump !== undefined && message.sequence === dump.sequence) {
      dump.receive(message);
      return;
    }
    const flight = this.#flight;
    const place = flight === undefined ? undefined : (message.sequence - flight.first) >>> 0;
    const answered = place === undefined ? undefined : flight?.sent[place];
    if (flight === undefined || answered === undefined) return;
    const { job, index, request } = answered;
    if (message.type === NLMSG.ERROR) {
      const error = refusal(request.operation, request.subject(), message);
      if (error !== undefined) job.errors[index] = error;
      if (place === flight.sent.length - 1) this.#land(flight);
      return;
    }
    try {
      request.receive?.(message.payload);
    } catch (error) {
      job.errors[index] = asBpfError(error, request.operation, request.subject());
    }
  }

  #startDump(): void {
    this.#updateRef();
    this.#dumps[0]?.start();
  }

  #prepareDump<T>(
    dump: Dump<T>,
    resolve: (found: T[]) => void,
    reject: (error: BpfError) => void,
  ): RunningDump {
    let found: T[] = [];
    let attempts = 0;
    let interrupted = false;
    let failure: BpfError | undefined;
    const finish = (): void => {
      this.#dumps.shift();
      if (failure === undefined) resolve(found);
      else reject(failure);
      this.#startDump();
    };
    const start = (): void => {
      attempts++;
      found = [];
      interrupted = false;
      const writer = new Writer(128);
      try {
        dump.write(writer);
      } catch (error) {
        failure = asBpfError(error, dump.operation, '');
        finish();
        return;
      }
      running.sequence = this.#nextSequence();
      writer.end(running.sequence);
      this.#native.send(writer.bytes).catch((error: unknown) => {
        if (this.#dumps[0] !== running) return;
        failure = asBpfError(error, dump.operation, '');
        finish();
      });
    };
    const receive = (message: Message): void => {
      if ((message.flags & NLM_F.DUMP_INTR) !== 0) interrupted = true;
      if (message.type === NLMSG.ERROR || message.type === NLMSG.DONE) {
        failure ??= refusal(dump.operation, '', message);
        if (failure !== undefined || !interrupted) {
          finish();
        } else if (attempts < DUMP_ATTEMPTS) {
          start();
        } else {
          const detail = `the table kept changing during ${attempts} dumps; try again later`;
          failure = new BpfError({ code: 'EINTR', operation: dump.operation, detail });
          finish();
        }
        return;
      }
      try {
        const object = dump.read(message.payload);
        if (object !== undefined) found.push(object);
      } catch (error) {
        failure ??= asBpfError(error, dump.operation, '');
      }
    };
    const running: RunningDump = { operation: dump.operation, start, receive, fail: reject, sequence: 0 };
    return running;
  }
}
