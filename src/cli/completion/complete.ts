/**
 * What the last word of a command line may become. Whatever goes wrong on the way (no server, no contexts file, wrong
 * words), there is nothing to offer, and silence.
 */
import { type Command, type Option } from 'commander';

import { type TargetFlags } from '../contexts/choose.js';
import { candidatesOf, usableContexts, worlds } from './candidates.js';

/** Where a line has come to. */
interface Line {
  readonly command: Command;
  /** Words of the command, without options. */
  readonly words: readonly string[];
  /** Options and their values, by long name. */
  readonly options: ReadonlyMap<string, string>;
  /** The option whose value is being typed. */
  readonly open: Option | undefined;
  /** Behind `--`. */
  readonly plain: boolean;
}

function lineOf(program: Command, before: readonly string[]): Line {
  let command = program;
  let open: Option | undefined;
  let plain = false;
  const words: string[] = [];
  const options = new Map<string, string>();
  for (const word of before) {
    if (open) {
      options.set(open.name(), word);
      open = undefined;
    } else if (plain) words.push(word);
    else if (word === '--') plain = true;
    else if (word.startsWith('-')) {
      const [flag = '', value] = word.split(/=(.*)/s, 2);
      const option = optionCalled(command, program, flag);
      if (option && value !== undefined) options.set(option.name(), value);
      else if (option && (option.required || option.optional)) open = option;
      else if (option) options.set(option.name(), '');
    } else {
      const sub = words.length === 0 ? command.commands.find((one) => one.name() === word) : undefined;
      if (sub) command = sub;
      else words.push(word);
    }
  }
  return { command, words, options, open, plain };
}

function optionCalled(command: Command, program: Command, flag: string): Option | undefined {
  return [...command.options, ...program.options].find(({ long, short }) => flag === long || flag === short);
}

/** Only what no shell gives a meaning of its own: a server says names, and a shell puts them on the line as they are. */
const HARMLESS = /^[A-Za-z0-9_./:=-]{1,300}$/;

export async function completeCommand(program: Command, given: readonly string[]): Promise<void> {
  const words = given[0] === '--' ? given.slice(1) : given;
  const typed = words.at(-1) ?? '';
  let found: readonly string[] = [];
  try {
    found = await candidates(lineOf(program, words.slice(0, -1)), program, typed);
  } catch {
    // nothing to offer
  }
  const fitting = [...new Set(found)].filter((one) => one.startsWith(typed) && HARMLESS.test(one));
  process.stdout.write(fitting.map((one) => `${one}\n`).join(''));
}

async function candidates(line: Line, program: Command, typed: string): Promise<readonly string[]> {
  const { command, words, options, open, plain } = line;
  if (open) return valuesOf(open);
  if (typed.startsWith('-') && !plain) return flagsOf(line, program, typed);
  if (command.commands.length > 0)
    return words.length > 0 ? [] : command.commands.filter(isShown).map((one) => one.name());
  const target: TargetFlags = {
    context: options.get('context'),
    address: options.get('address'),
    credentials: options.get('credentials'),
    server: options.get('server'),
    layer: options.get('layer'),
  };
  const { registeredArguments } = command;
  const argument = registeredArguments[Math.min(words.length, registeredArguments.length - 1)];
  if (!argument || (words.length >= registeredArguments.length && !argument.variadic)) return [];
  if (argument.argChoices) return argument.argChoices;
  const path =
    command.parent === program ? command.name() : `${command.parent?.name() ?? ''} ${command.name()}`;
  return candidatesOf(path, words, typed, { target, world: options.get('world') });
}

function isShown(command: Command): boolean {
  return !command.name().startsWith('__');
}

async function valuesOf(option: Option): Promise<readonly string[]> {
  if (option.argChoices) return option.argChoices;
  if (option.name() === 'context') return usableContexts();
  if (option.name() === 'world') return worlds();
  return [];
}

async function flagsOf(line: Line, program: Command, typed: string): Promise<readonly string[]> {
  const [flag = '', value] = typed.split(/=(.*)/s, 2);
  if (value !== undefined) {
    const option = optionCalled(line.command, program, flag);
    return option ? (await valuesOf(option)).map((one) => `${flag}=${one}`) : [];
  }
  return [...line.command.options.map(({ long }) => long ?? ''), '--help'].filter((one) => one !== '');
}
