import { BanyanError } from '../../core/errors.js'
import { suggest } from '../../core/suggest.js'
import { eventError } from '../errors.js'
import { pathOf, type StandardSchema } from '../../core/standard-schema.js'

/** What is given with a name: the input, which may be left out if it may be undefined, and options. */
export type GivenTo<
  Handler extends { readonly given?: (input: never) => void },
  Options,
> = undefined extends Parameters<NonNullable<Handler['given']>>[0]
  ? [input?: Parameters<NonNullable<Handler['given']>>[0], options?: Options]
  : [input: Parameters<NonNullable<Handler['given']>>[0], options?: Options]

/** How many problems of an input are named. */
const MOST_PROBLEMS = 5

/**
 * What the schema makes of an input; without one the input as it is.
 *
 * @throws `BANYAN_INVALID_INPUT` with what is wrong where
 */
export async function checkInput<Input>(
  schema: StandardSchema<unknown, Input> | undefined,
  input: unknown,
  what: string,
): Promise<Input> {
  if (!schema) return input as Input
  const result = await schema['~standard'].validate(input)
  if (!result.issues) return result.value
  const problems = result.issues.slice(0, MOST_PROBLEMS).map((issue) => {
    const path = pathOf(issue)
    return path.length === 0 ? issue.message : `${path.join('.')}: ${issue.message}`
  })
  const more = result.issues.length - problems.length
  throw eventError(
    'BANYAN_INVALID_INPUT',
    `the input of ${what} is not valid: ${problems.join('; ')}${more > 0 ? `; and ${more} more` : ''}`,
  )
}

/** @throws `BANYAN_UNKNOWN_HANDLER` */
export function handlerOf<Handler>(
  handlers: Readonly<Record<string, Handler>>,
  name: string,
  kind: 'command' | 'query',
): Handler {
  if (Object.hasOwn(handlers, name)) return handlers[name]!
  const near = suggest(name, Object.keys(handlers))
  throw eventError(
    'BANYAN_UNKNOWN_HANDLER',
    `there is no ${kind} ${JSON.stringify(name)}${near ? `, did you mean ${near}?` : ''}`,
  )
}

/** @throws `BANYAN_INVALID_OPTIONS` */
export function mustHandle(handler: unknown, kind: 'command' | 'query'): void {
  if (typeof handler === 'function') return
  throw new BanyanError(
    'BANYAN_INVALID_OPTIONS',
    `a ${kind} needs a handler, a function, and got ${typeof handler}`,
  )
}
