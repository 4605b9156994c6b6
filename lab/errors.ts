/** What goes wrong in the lab, in a sentence for whoever runs it. */

/**
 * - `KERNEL`: a kernel can't be had; the suite that wanted it is skipped
 * - `HOST`: this host lacks something the lab needs
 * - `GUEST`: a guest did not start, ended, or does not answer
 * - `COMMAND`: a command in a guest failed
 */
export type LabErrorCode = 'KERNEL' | 'HOST' | 'GUEST' | 'COMMAND';

export class LabError extends Error {
  override readonly name = 'LabError';
  readonly code: LabErrorCode;

  constructor(code: LabErrorCode, message: string, options: { readonly cause?: unknown } = {}) {
    super(message, options);
    this.code = code;
  }
}
