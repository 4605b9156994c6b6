// Changes and look-ups: numbered, packed many to a datagram, sent in order. Only the last message
// of a datagram asks to be acknowledged, since the kernel works in order and reports every failure
// unasked. While one datagram is with the kernel the next is filled.
import { BpfError } from '../error.js';
import { asBpfError, closedError, refusal } from './answers.js';
import { Writer, type Message, type Payload } from './attributes.js';
import { Descriptors } from './check.js';
import { NLM_F, NLMSG } from './constants.js';

export interface Request {
  /** Of the error: what was attempted, and on what. */
  readonly operation: string;
  readonly subject: () => string;
  /** Writes the whole message but for its number. May throw; then nothing is sent of it. */
  readonly write: (writer: Writer, descriptors: Descriptors) => void;
  /** Takes an answer other than the acknowledgement. */
  readonly receive?: (payload: Payload) => void;
}

export type Errors = Array<BpfError | undefined>;

/** Requests that are answered together. */
interface Job {
  readonly size: number;
  readonly request: (i: number) => Request;
  readonly errors: Errors;
  readonly resolve: (errors: Errors) => void;
  /** The first request not yet written. */
  next: number;
  unanswered: number;
}

/** What one datagram carries: request k has the number `first` + k. */
interface Flight {
  readonly first: number;
  readonly requests: Array<{ readonly job: Job; readonly index: number; readonly request: Request }>;
  readonly descriptors: Descriptors;
  /** How many more answers it may cause. */
  room: number;
  /** Where its last message begins. */
  last: number;
}

const DATAGRAM_BYTES = 64 * 1024;
const DATAGRAM_REQUESTS = 1024;

// With the kernel or read back: what the receive buffer must have room for the answers of.
const FLIGHTS = 2;

// What an answer occupies in the receive buffer, generously: an acknowledgement, an object.
const ANSWER_BYTES = 2048;
const ANSWERS_PER_OBJECT = 8;

const SEQUENCE_MASK = 0x7fffffff;

function operationOf(request: (i: number) => Request, index: number): string {
  try {
    return request(index).operation;
  } catch {
    return 'batch';
  }
}

export class RequestLine {
  readonly #send: (bytes: Uint8Array) => Promise<void>;
  readonly #onChange: () => void;
  readonly #writer = new Writer(DATAGRAM_BYTES + 4096);
  readonly #room: number;
  #sequence = 0;
  #jobs: Job[] = [];
  #filling: Flight | undefined;
  #flights: Flight[] = [];
  #sending = false;
  #closed = false;

  /** `receiveBuffer` in bytes; `onChange` is called whenever `busy` may have changed. */
  constructor(receiveBuffer: number, send: (bytes: Uint8Array) => Promise<void>, onChange: () => void) {
    const answers = Math.floor(receiveBuffer / 2 / FLIGHTS / ANSWER_BYTES);
    this.#room = Math.max(1, Math.min(DATAGRAM_REQUESTS, answers));
    this.#send = send;
    this.#onChange = onChange;
  }

  get busy(): boolean {
    return this.#jobs.length > 0;
  }

  /** What the kernel said to each request, undefined where it agreed. */
  run(size: number, request: (i: number) => Request): Promise<Errors> {
    return new Promise((resolve) => {
      const errors: Errors = Array.from<undefined>({ length: size });
      this.#jobs.push({ size, request, errors, resolve, next: 0, unanswered: size });
      this.#pump();
    });
  }

  receive(message: Message): void {
    for (const flight of this.#flights) {
      const place = (message.sequence - flight.first) & SEQUENCE_MASK;
      const asked = flight.requests[place];
      if (asked === undefined) continue;
      const { job, index, request } = asked;
      try {
        if (message.type === NLMSG.ERROR)
          job.errors[index] ??= refusal(request.operation, request.subject(), message);
        else request.receive?.(message.payload);
      } catch (error) {
        job.errors[index] = asBpfError(error, request.operation, request.subject());
      }
      if (message.type === NLMSG.ERROR && place === flight.requests.length - 1) this.#land(flight);
      return;
    }
  }

  /** Some answer was lost, and nobody can tell whose. */
  doubt(): void {
    const detail = 'the answer was lost; whether it was done is not known';
    for (const flight of [...this.#flights]) {
      this.#land(flight, (operation) => new BpfError({ code: 'ENOBUFS', operation, detail }));
    }
  }

  close(): void {
    this.#closed = true;
    this.#filling?.descriptors.close();
    this.#flights = [];
    for (const job of this.#jobs.splice(0)) {
      for (let i = 0; i < job.size; i++) job.errors[i] ??= closedError(operationOf(job.request, i));
      job.resolve(job.errors);
    }
  }

  #pump(): void {
    if (this.#closed) return;
    this.#fill();
    while (this.#filling !== undefined && !this.#sending && this.#flights.length < FLIGHTS) {
      this.#launch(this.#filling);
      this.#filling = undefined;
      this.#fill();
    }
    this.#finishJobs();
    this.#onChange();
  }

  // Writes what waits into the datagram to be sent next.
  #fill(): void {
    for (const job of this.#jobs) {
      while (job.next < job.size) {
        this.#filling ??= this.#begin();
        if (this.#filling.room <= 0 || this.#writer.length >= DATAGRAM_BYTES) return;
        this.#write(this.#filling, job, job.next++);
      }
    }
  }

  #begin(): Flight {
    this.#writer.clear();
    const first = (this.#sequence + 1) & SEQUENCE_MASK;
    return { first, requests: [], descriptors: new Descriptors(), room: this.#room, last: 0 };
  }

  #write(flight: Flight, job: Job, index: number): void {
    const writer = this.#writer;
    const start = writer.length;
    let request: Request | undefined;
    try {
      request = job.request(index);
      request.write(writer, flight.descriptors);
    } catch (error) {
      writer.truncate(start);
      job.errors[index] = asBpfError(error, request?.operation ?? 'batch', request?.subject() ?? '');
      job.unanswered--;
      return;
    }
    this.#sequence = (this.#sequence + 1) & SEQUENCE_MASK;
    writer.end(this.#sequence);
    flight.requests.push({ job, index, request });
    flight.last = start;
    flight.room -= request.receive === undefined ? 1 : ANSWERS_PER_OBJECT;
  }

  #launch(flight: Flight): void {
    if (flight.requests.length === 0) {
      flight.descriptors.close();
      return;
    }
    this.#writer.addFlags(flight.last, NLM_F.ACK);
    this.#flights.push(flight);
    this.#sending = true;
    const sent = (): void => {
      this.#sending = false;
      flight.descriptors.close();
    };
    this.#send(this.#writer.bytes).then(
      () => {
        sent();
        this.#pump();
      },
      (error: unknown) => {
        sent();
        this.#land(flight, (operation, subject) => asBpfError(error, operation, subject));
        this.#pump();
      },
    );
  }

  // The flight is over: `failure` for all without an answer, or what the answers said.
  #land(flight: Flight, failure?: (operation: string, subject: string) => BpfError): void {
    const at = this.#flights.indexOf(flight);
    if (at < 0) return;
    this.#flights.splice(at, 1);
    for (const { job, index, request } of flight.requests) {
      if (failure !== undefined) job.errors[index] ??= failure(request.operation, request.subject());
      job.unanswered--;
    }
    this.#pump();
  }

  #finishJobs(): void {
    if (this.#jobs.every((job) => job.unanswered > 0)) return;
    const done = this.#jobs.filter((job) => job.unanswered === 0);
    this.#jobs = this.#jobs.filter((job) => job.unanswered > 0);
    for (const job of done) job.resolve(job.errors);
  }
}
