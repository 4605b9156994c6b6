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

/** Quantities as they were typed, with their units. */
export interface ImpairFlags {
  readonly delay?: string;
  readonly jitter?: string;
  readonly loss?: string;
  readonly rate?: string;
  readonly seed?: string;
  readonly oneWay?: true;
  readonly clear?: true;
  readonly output: string;
  readonly world?: string;
}

/** Of commands that may call one agent over TCP in place of a world's. */
export interface RemoteFlags {
  readonly address?: string | undefined;
  readonly credentials?: string | undefined;
  readonly server?: string | undefined;
}

export interface DoctorFlags extends RemoteFlags {
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
  readonly listen?: string;
  readonly credentials?: string;
  readonly provider?: string;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
}

/** Of `cabernet infrastructure` and the other controllers. */
export interface ControllerFlags {
  readonly name: string;
  readonly socket: string;
  readonly state: string;
  readonly stateCredentials?: string;
  readonly advertise?: string;
  readonly failover?: number;
  readonly listen?: string;
  readonly credentials?: string;
  readonly metrics?: string;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
}

export interface DemoFlags {
  readonly json?: string;
  readonly csv?: string;
}

export interface StreamFlags {
  readonly interval: string;
  readonly duration: string;
  readonly bytes: number;
  readonly ipv6?: true;
  readonly json?: true;
  readonly csv?: true;
  readonly world?: string;
}

/** Of all `cabernet ca` commands. */
export interface CaFlags {
  readonly directory: string;
}

export interface CaInitFlags extends CaFlags {
  readonly deployment: string;
  readonly days?: number;
}

export interface CaIssueFlags extends CaFlags {
  readonly out: string;
  readonly days?: number;
}

export interface CaShowFlags extends CaFlags {
  readonly output: string;
}
