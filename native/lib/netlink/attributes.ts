// Netlink's bytes: messages and type-length-value attributes, read with every length
// checked against what holds it, and written in place. Numbers are in the host's byte
// order, addresses in the network's. What is malformed is a BpfError with code EBADMSG.
import { endianness } from 'node:os';
import { BpfError } from '../error.js';

const LITTLE = endianness() === 'LE';

/** The top two bits of an attribute's type are flags (nested, network byte order). */
const TYPE_MASK = 0x3fff;
const NESTED = 0x8000;

/** Sizes of struct nlmsghdr and struct nlattr. */
export const MESSAGE_HEADER = 16;
const ATTRIBUTE_HEADER = 4;

function malformed(detail: string): BpfError {
  return new BpfError({ code: 'EBADMSG', operation: 'netlink.decode', detail });
}

function align(length: number): number {
  return (length + 3) & ~3;
}

/** A stretch of received bytes. Reading beyond its end throws EBADMSG, whatever lies behind. */
export class Payload {
  readonly #view: DataView;
  readonly #start: number;
  readonly length: number;

  constructor(view: DataView, start: number, length: number) {
    this.#view = view;
    this.#start = start;
    this.length = length;
  }

  static of(bytes: Uint8Array): Payload {
    return new Payload(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0, bytes.byteLength);
  }

  #at(offset: number, size: number): number {
    if (offset < 0 || size < 0 || offset + size > this.length) {
      throw malformed(`${size} bytes at ${offset} are wanted, but there are only ${this.length}`);
    }
    return this.#start + offset;
  }

  u8(offset = 0): number {
    return this.#view.getUint8(this.#at(offset, 1));
  }

  u16(offset = 0): number {
    return this.#view.getUint16(this.#at(offset, 2), LITTLE);
  }

  /** In network byte order. */
  u16be(offset = 0): number {
    return this.#view.getUint16(this.#at(offset, 2), false);
  }

  u32(offset = 0): number {
    return this.#view.getUint32(this.#at(offset, 4), LITTLE);
  }

  i32(offset = 0): number {
    return this.#view.getInt32(this.#at(offset, 4), LITTLE);
  }

  u64(offset = 0): bigint {
    return this.#view.getBigUint64(this.#at(offset, 8), LITTLE);
  }

  /** Text up to the first NUL or the end. */
  string(): string {
    const bytes = this.bytes();
    const end = bytes.indexOf(0);
    return Buffer.from(bytes.buffer, bytes.byteOffset, end < 0 ? bytes.length : end).toString('utf8');
  }

  /** A view of the bytes, not a copy. */
  bytes(offset = 0, length = this.length - offset): Uint8Array {
    const start = this.#at(offset, length);
    return new Uint8Array(this.#view.buffer, this.#view.byteOffset + start, length);
  }

  slice(offset: number, length = this.length - offset): Payload {
    return new Payload(this.#view, this.#at(offset, length), length);
  }

  /** Calls `visit` for each attribute from `offset` on. Less than a header at the end is padding. */
  attributes(offset: number, visit: (type: number, value: Payload) => void): void {
    this.#at(offset, 0);
    let next = offset;
    while (this.length - next >= ATTRIBUTE_HEADER) {
      const length = this.u16(next);
      if (length < ATTRIBUTE_HEADER || next + length > this.length) {
        throw malformed(`an attribute of ${length} bytes at ${next} does not fit into ${this.length}`);
      }
      visit(
        this.u16(next + 2) & TYPE_MASK,
        new Payload(this.#view, this.#start + next + ATTRIBUTE_HEADER, length - ATTRIBUTE_HEADER),
      );
      next += align(length);
    }
  }

  /** Calls `visit` for each element of a list whose elements begin with their own u16 length (struct rtnexthop). */
  elements(header: number, visit: (element: Payload) => void): void {
    let next = 0;
    while (this.length - next >= header) {
      const length = this.u16(next);
      if (length < header || next + length > this.length) {
        throw malformed(`an element of ${length} bytes at ${next} does not fit into ${this.length}`);
      }
      visit(this.slice(next, length));
      next += align(length);
    }
  }
}

export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly payload: Payload;
}

/** Calls `visit` for each message of one datagram. */
export function eachMessage(datagram: Uint8Array, visit: (message: Message) => void): void {
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength);
  let next = 0;
  while (view.byteLength - next >= MESSAGE_HEADER) {
    const length = view.getUint32(next, LITTLE);
    if (length < MESSAGE_HEADER || length > view.byteLength - next) {
      throw malformed(`a message of ${length} bytes at ${next} does not fit into ${view.byteLength}`);
    }
    visit({
      type: view.getUint16(next + 4, LITTLE),
      flags: view.getUint16(next + 6, LITTLE),
      sequence: view.getUint32(next + 8, LITTLE),
      payload: new Payload(view, next + MESSAGE_HEADER, length - MESSAGE_HEADER),
    });
    next += align(length);
  }
}

/** Builds messages one after another in memory that grows. */
export class Writer {
  #bytes: Buffer;
  #length = 0;
  #message = 0;

  constructor(capacity = 1024) {
    this.#bytes = Buffer.alloc(capacity);
  }

  get length(): number {
    return this.#length;
  }

  /** A view of what was written; good until the next write. */
  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  clear(): void {
    this.truncate(0);
  }

  /** Takes back everything from `length` on. */
  truncate(length: number): void {
    this.#bytes.fill(0, length, this.#length);
    this.#length = length;
  }

  // New bytes are zero: alloc zeroes, truncate too.
  #grow(size: number): number {
    const at = this.#length;
    if (at + size > this.#bytes.length) {
      const larger = Buffer.alloc(Math.max(this.#bytes.length * 2, at + size));
      this.#bytes.copy(larger, 0, 0, at);
      this.#bytes = larger;
    }
    this.#length = at + size;
    return at;
  }

  u8(value: number): this {
    const at = this.#grow(1);
    this.#bytes[at] = value;
    return this;
  }

  u16(value: number): this {
    const at = this.#grow(2);
    if (LITTLE) this.#bytes.writeUInt16LE(value, at);
    else this.#bytes.writeUInt16BE(value, at);
    return this;
  }

  u16be(value: number): this {
    const at = this.#grow(2);
    this.#bytes.writeUInt16BE(value, at);
    return this;
  }

  u32(value: number): this {
    this.#put32(this.#grow(4), value >>> 0);
    return this;
  }

  raw(bytes: ArrayLike<number>): this {
    const at = this.#grow(bytes.length);
    this.#bytes.set(bytes, at);
    return this;
  }

  zeros(count: number): this {
    this.#grow(count);
    return this;
  }

  #put32(at: number, value: number): void {
    if (LITTLE) this.#bytes.writeUInt32LE(value, at);
    else this.#bytes.writeUInt32BE(value, at);
  }

  #pad(): void {
    this.#grow(align(this.#length) - this.#length);
  }

  /** Begins a message; its length and number are filled in by `end()`. */
  begin(type: number, flags: number): this {
    this.#message = this.#length;
    return this.u32(0).u16(type).u16(flags).u32(0).u32(0);
  }

  /** Ends the message begun last, and numbers it. */
  end(sequence: number): void {
    this.#put32(this.#message, this.#length - this.#message);
    this.#put32(this.#message + 8, sequence >>> 0);
    this.#pad();
  }

  /** Adds flags to the message that begins at `message`. */
  addFlags(message: number, flags: number): void {
    const at = message + 6;
    if (LITTLE) this.#bytes.writeUInt16LE(this.#bytes.readUInt16LE(at) | flags, at);
    else this.#bytes.writeUInt16BE(this.#bytes.readUInt16BE(at) | flags, at);
  }

  #attribute(type: number, size: number): void {
    if (size + ATTRIBUTE_HEADER > 0xffff) {
      throw malformed(`attribute ${type} has ${size} bytes, more than fit`);
    }
    this.u16(size + ATTRIBUTE_HEADER).u16(type);
  }

  attributeBytes(type: number, value: ArrayLike<number>): this {
    this.#attribute(type, value.length);
    this.raw(value).#pad();
    return this;
  }

  attributeString(type: number, value: string): this {
    return this.attributeBytes(type, Buffer.from(`${value}\0`, 'utf8'));
  }

  attributeU8(type: number, value: number): this {
    this.#attribute(type, 1);
    this.u8(value).#pad();
    return this;
  }

  attributeU16(type: number, value: number): this {
    this.#attribute(type, 2);
    this.u16(value).#pad();
    return this;
  }

  attributeU16be(type: number, value: number): this {
    this.#attribute(type, 2);
    this.u16be(value).#pad();
    return this;
  }

  attributeU32(type: number, value: number): this {
    this.#attribute(type, 4);
    return this.u32(value);
  }

  /** An attribute whose content `write` writes. */
  nest(type: number, write: () => void, flag: number = NESTED): this {
    const at = this.#length;
    this.u16(0).u16(type | flag);
    write();
    const size = this.#length - at;
    if (size > 0xffff) throw malformed(`attribute ${type} has ${size} bytes, more than fit`);
    if (LITTLE) this.#bytes.writeUInt16LE(size, at);
    else this.#bytes.writeUInt16BE(size, at);
    this.#pad();
    return this;
  }

  /** An element that begins with its own u16 length, as in a list of next hops. */
  element(write: () => void): this {
    const at = this.#length;
    this.u16(0);
    write();
    const size = this.#length - at;
    if (LITTLE) this.#bytes.writeUInt16LE(size, at);
    else this.#bytes.writeUInt16BE(size, at);
    this.#pad();
    return this;
  }
}
