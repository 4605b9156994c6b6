// The kernel's answers to requests: agreement, or an errno with an explanation (extended
// acknowledgements), as an error of ours.
import { BpfError } from '../error.js';
import type { Message } from './attributes.js';
import { NLM_F, NLMSG, NLMSGERR_ATTR } from './constants.js';
import { describeErrno } from './native.js';

function readAnswer({ payload, flags, type }: Message): { errno: number; text: string | undefined } {
  // A dump that ended well may say so without a number.
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

/** What an NLMSG_ERROR or NLMSG_DONE refuses, if it does. EBADMSG when it makes no sense. */
export function refusal(operation: string, subject: string, message: Message): BpfError | undefined {
  const { errno, text } = readAnswer(message);
  if (errno === 0) return undefined;
  const about = subject === '' ? { operation } : { operation, subject };
  if (errno < 0 || errno > 4095) {
    return new BpfError({ ...about, code: 'EBADMSG', detail: `the kernel answered with error ${errno}` });
  }
  const { code, detail } = describeErrno(errno);
  if (text === undefined || text === '') return new BpfError({ ...about, code, errno, detail });
  return new BpfError({ ...about, code, errno, detail: `${detail}: ${text}`, explanation: text });
}

/** Whatever was thrown, as an error of this operation. */
export function asBpfError(error: unknown, operation: string, subject: string): BpfError {
  if (error instanceof BpfError) return error;
  const about = subject === '' ? { operation } : { operation, subject };
  const detail = error instanceof Error ? error.message : String(error);
  return new BpfError({ ...about, code: 'ERR_ARGUMENT', detail });
}

export function closedError(operation: string): BpfError {
  return new BpfError({ code: 'ERR_CLOSED', operation, detail: 'the netlink socket is closed' });
}
