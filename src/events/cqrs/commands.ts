import { checkOptions, type OptionTable } from '../../core/options.js'
import { systemRuntime, type Runtime } from '../../core/runtime.js'
import { eventError } from '../errors.js'
import type { CommandOptions, Handled, Repository } from '../event-sourcing/index.js'
import type { Appended, Commit, EventLog, EventShape, Metadata, Position } from '../log.js'
import { START } from '../position.js'
import type { StandardSchema } from '../../core/standard-schema.js'
import { uuid7 } from '../uuid.js'
import { checkInput, handlerOf, mustHandle, type GivenTo } from './input.js'
import { throughAll, type CallMiddleware } from './middleware.js'
import { EXECUTE, type ExecuteOptions } from './options.js'

/** What came of a command. */
export interface Done<Result> {
  readonly id: string
  /** What the handler has returned. */
  readonly result: Result
  /** For `after` of a query that has to see what the command did; of no more use than that. */
  readonly token: Position
}

/** What a handler of a command works with. Everything appended through it has the command's id and metadata. */
export interface CommandContext {
  readonly id: string
  readonly metadata: Metadata
  readonly signal: AbortSignal | undefined
  /**
   * Appends a commit. Its id is that of the command, for the second and later ones with their number, so that a repetition
   * must make them in the same order.
   *
   * @throws `BANYAN_CONFLICT` if a stream is not as expected; what `append` of the log throws
   */
  readonly append: (commit: Commit) => Promise<Appended>
  /** Lets a repository handle a command, under this one's id. */
  readonly handle: <State, Inner, Event extends EventShape>(
    repository: Repository<State, Inner, Event>,
    id: string,
    command: Inner,
    options?: Pick<CommandOptions, 'expected'>,
  ) => Promise<Handled<State>>
  /** Notes a position that was appended in another way, for the token. */
  readonly wrote: (position: Position) => void
}

/** Does what a command says. */
export type CommandHandler<Input, Result> = (
  input: Input,
  context: CommandContext,
) => Promise<Result> | Result

/** A handler with the schema of its input. */
export interface Command<Input, Result, Given = Input> {
  readonly schema: StandardSchema<Given, Input> | undefined
  readonly handler: CommandHandler<Input, Result>
  /** For the compiler: what the input is before it is checked. There is no such property. */
  readonly given?: (input: Given) => void
}

/**
 * A command: what its input must be (a schema of zod, valibot, arktype, ...), and what it does.
 *
 * @param schema - may be left out where the input is checked elsewhere
 */
export function command<Given, Input, Result>(
  schema: StandardSchema<Given, Input>,
  handler: CommandHandler<Input, Result>,
): Command<Input, Result, Given>
export function command<Input, Result>(handler: CommandHandler<Input, Result>): Command<Input, Result>
export function command<Input, Result>(
  schema: StandardSchema<unknown, Input> | CommandHandler<Input, Result>,
  handler?: CommandHandler<Input, Result>,
): Command<Input, Result> {
  const [checked, handles] = handler
    ? [schema as StandardSchema<Input>, handler]
    : [undefined, schema as CommandHandler<Input, Result>]
  mustHandle(handles, 'command')
  return { schema: checked, handler: handles }
}

// What each takes and gives is known where it is defined.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
type AnyCommand = Command<any, any, any>

/** Options of {@link commands}. */
export interface CommandsOptions {
  /** What stands around every command, the outermost first. */
  use?: readonly CallMiddleware[]
  /** Time and telemetry. Default: the system's. */
  runtime?: Runtime
}

const OPTIONS: OptionTable<CommandsOptions> = {
  use: {
    kind: 'list',
    of: { kind: 'code', type: 'function', doc: 'a middleware' },
    doc: 'around every command',
  },
  runtime: { kind: 'code', type: 'object', doc: 'time, chance and telemetry' },
}

/** Commands by name. */
export interface Commands<Handlers extends Readonly<Record<string, AnyCommand>>> {
  /**
   * Executes a command.
   *
   * @throws `BANYAN_INVALID_INPUT`, `BANYAN_UNKNOWN_HANDLER`: nothing was done. What middleware and handler throw
   */
  execute<Name extends keyof Handlers & string>(
    name: Name,
    ...input: GivenTo<Handlers[Name], ExecuteOptions>
  ): Promise<Done<Awaited<ReturnType<Handlers[Name]['handler']>>>>
}

/** Puts commands together; `execute` is typed by their names. */
export function commands<const Handlers extends Readonly<Record<string, AnyCommand>>>(
  log: EventLog,
  handlers: Handlers,
  options: CommandsOptions = {},
): Commands<Handlers> {
  checkOptions('commands', OPTIONS, options)
  const { use = [], runtime = systemRuntime } = options
  return {
    async execute(name: string, ...[given, said = {}]: [input?: unknown, options?: ExecuteOptions]) {
      checkOptions(`command ${name}`, EXECUTE, said)
      const { schema, handler } = handlerOf(handlers, name, 'command') as Command<unknown, never>
      const input = await checkInput(schema, given, `the command ${name}`)
      const id = said.id ?? uuid7(runtime.clock.wall())
      let token: Position = START
      const call = { kind: 'command', name, input, options: { ...said, id } } as const
      const result = await throughAll(use, call, async () => {
        said.signal?.throwIfAborted()
        // Whoever tries again gets a context that begins anew: the same commits have the same ids, and are there once.
        const context = new ExecutedCommand(log, id, name, said)
        try {
          return await handler(input, context)
        } finally {
          if (context.token > token) token = context.token
        }
      })
      return { id, result, token }
    },
  }
}

class ExecutedCommand implements CommandContext {
  readonly id: string
  readonly metadata: Metadata
  readonly signal: AbortSignal | undefined
  /** The last position that was written. */
  token: Position = START
  readonly #log: EventLog
  #commits = 0

  constructor(log: EventLog, id: string, name: string, options: ExecuteOptions) {
    const { actor, metadata, signal, correlationId = metadata?.correlationId ?? id } = options
    this.#log = log
    this.id = id
    this.metadata = {
      ...metadata,
      commandType: name,
      correlationId,
      causationId: id,
      ...(actor !== undefined && { actor }),
    }
    this.signal = signal
  }

  // Handlers may take these out of their context.
  readonly append = async (commit: Commit): Promise<Appended> => {
    const { actor } = this.metadata
    // Who commands is known; events that say otherwise, as copies of others may, are not right.
    const who = actor === undefined ? {} : { actor }
    const streams = commit.streams?.map((append) => ({
      ...append,
      events: append.events.map((event) => ({
        ...event,
        metadata: { ...this.metadata, ...event.metadata, ...who },
      })),
    }))
    const id = commit.id ?? this.#nextId()
    const result = await this.#log.append({ ...commit, id, ...(streams && { streams }) })
    if (!result.ok) {
      const [{ stream, expected, actual }] = result.conflicts as [(typeof result.conflicts)[0]]
      throw eventError(
        'BANYAN_CONFLICT',
        `${stream} is at revision ${actual}, not at ${expected}, as others have appended to it; nothing was appended`,
      )
    }
    this.wrote(result.position)
    return result
  }

  readonly handle = async <State, Inner, Event extends EventShape>(
    repository: Repository<State, Inner, Event>,
    id: string,
    inner: Inner,
    options: Pick<CommandOptions, 'expected'> = {},
  ): Promise<Handled<State>> => {
    const said = {
      ...options,
      id: this.#nextId(),
      metadata: this.metadata,
      ...(this.signal && { signal: this.signal }),
    }
    const handled = await repository.handle(id, inner, said)
    // What decides that nothing is to be done has seen something, too.
    this.wrote(handled.events === 0 ? await this.#log.head() : handled.position)
    return handled
  }

  readonly wrote = (position: Position): void => {
    if (position > this.token) this.token = position
  }

  #nextId(): string {
    return ++this.#commits === 1 ? this.id : `${this.id}:${this.#commits}`
  }
}
