/** The options of commands, as the command line gives them. */

export interface TraceFlags {
  readonly to: string;
  readonly from?: string;
  readonly length?: number;
  readonly ttl?: number;
  readonly output: string;
  readonly world?: string;
}

export interface CaptureFlags {
  readonly write?: string;
  readonly count?: number;
  readonly duration?: number;
  readonly world?: string;
}

export interface DoctorFlags {
  readonly jumbo: boolean;
  readonly world?: string;
}

export interface NodeFlags {
  readonly name: string;
  readonly socket: string;
  readonly pinDir: string;
  readonly netnsPrefix: string;
  readonly interface: readonly string[];
  readonly port: readonly string[];
  readonly jumbo: boolean;
  readonly capacity: readonly string[];
  readonly metrics?: string;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
}
