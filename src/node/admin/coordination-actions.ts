import { BanyanError } from '../../core/errors.js'
import { parseDuration, type Duration } from '../../core/duration.js'
import type { DataMovesWish } from '../coordination/data-operations.js'
import type { ShardWish } from '../coordination/shard-operations.js'
import type { CoordinationActions } from '../coordination/operations.js'

/** Who is said to have asked, if nobody says who. */
const UNNAMED = 'an operator'

/** What a field of a body must be. */
type FieldKind = 'text' | 'number' | 'duration' | 'flag' | 'names' | 'numbers' | 'weights'

/** What a body may have, and of which type. */
type Fields = Readonly<Record<string, FieldKind>>

/** What can be asked for with a POST. */
export interface Action {
  readonly fields: Fields
  /** Which of them must be there. */
  readonly needs?: readonly string[]
  /** How many names its path has, unless it is one. */
  readonly names?: number
  /** Whether others do it when they see it: then the answer is 202. */
  readonly later: boolean
  do(actions: CoordinationActions, names: readonly string[], given: Given): Promise<object>
}

/** What a body says. */
export interface Given {
  readonly by: string
  readonly to?: string
  readonly token?: number
  readonly for?: Duration
  readonly bucket?: string
  readonly worker?: string
  readonly database?: string
  readonly replace?: boolean
  readonly undo?: boolean
  readonly add?: Readonly<Record<string, number>>
  readonly remove?: readonly string[]
  readonly weights?: Readonly<Record<string, number>>
  readonly buckets?: readonly number[]
  readonly even?: boolean
  readonly group?: number
  readonly moves?: readonly string[]
  readonly all?: boolean
}

/** By the part of the API, and what is done. */
export const ACTIONS: Readonly<Record<string, Action>> = {
  'elections/hand-over': {
    fields: { to: 'text', by: 'text' },
    later: true,
    do: async (actions, [name = ''], { to, by }) => ({
      name,
      asked: await actions.handOver(name, { by, ...(to !== undefined && { to }) }),
    }),
  },
  'locks/release': {
    fields: { token: 'number' },
    later: false,
    do: async (actions, [name = ''], { token }) => ({
      name,
      released: await actions.release(name, token === undefined ? {} : { token }),
    }),
  },
  'registry/drain': {
    fields: { for: 'duration', by: 'text' },
    names: 2,
    later: true,
    do: async (actions, [name = '', id = ''], { by, for: time }) => ({
      name,
      asked: await actions.drain(name, id, { by, ...(time !== undefined && { for: time }) }),
    }),
  },
  ...Object.fromEntries(
    (['run', 'pause', 'resume'] as const).map((action): [string, Action] => [
      `jobs/${action}`,
      {
        fields: { by: 'text' },
        later: true,
        async do(actions, [name = ''], { by }) {
          await actions.changeJob(name, action, { by })
          return { name }
        },
      },
    ]),
  ),
  'shards/plan': {
    fields: { add: 'weights', remove: 'names', weights: 'weights' },
    later: false,
    do: async (actions, [name = ''], { add, remove, weights }) => ({
      name,
      ...(await actions.planShards(name, {
        ...(add && { add }),
        ...(remove && { remove }),
        ...(weights && { weights }),
      })),
    }),
  },
  'shards/move': steering(
    { bucket: 'text', to: 'text', replace: 'flag' },
    ['bucket', 'to'],
    ({ bucket = '', to = '', replace }) => ({
      ...{ do: 'move', bucket, to },
      ...(replace !== undefined && { replace }),
    }),
  ),
  ...Object.fromEntries(
    (['split', 'merge', 'unpin'] as const).map((what) => [
      `shards/${what}`,
      steering({ bucket: 'text' }, ['bucket'], ({ bucket = '' }) => ({ do: what, bucket })),
    ]),
  ),
  ...Object.fromEntries(
    (['pause', 'resume'] as const).map((what) => [`shards/${what}`, steering({}, [], () => ({ do: what }))]),
  ),
  'shards/drain': steering({ worker: 'text', undo: 'flag' }, ['worker'], ({ worker = '', undo }) => ({
    ...{ do: 'drain', worker },
    ...(undo !== undefined && { undo }),
  })),
  'shards/forget': {
    fields: {},
    later: false,
    async do(actions, [name = '']) {
      await actions.forgetShards(name)
      return { name }
    },
  },
  'data-shards/plan': {
    fields: { add: 'weights', remove: 'names', group: 'number' },
    later: false,
    do: async (actions, [name = ''], { add, remove, group }) => ({
      name,
      ...(await actions.planDataShards(name, {
        ...(add && { add }),
        ...(remove && { remove }),
        ...(group !== undefined && { group }),
      })),
    }),
  },
  'data-shards/move': {
    fields: { buckets: 'numbers', to: 'text', even: 'flag', remove: 'names', group: 'number' },
    later: true,
    do: async (actions, [name = ''], given) => ({
      name,
      moves: await actions.startDataMoves(name, movesWishOf(given)),
    }),
  },
  'data-shards/remove': {
    fields: { database: 'text' },
    needs: ['database'],
    later: false,
    async do(actions, [name = ''], { database = '' }) {
      await actions.removeDatabase(name, database)
      return { name, removed: database }
    },
  },
  ...Object.fromEntries(
    (['pause', 'resume', 'abort', 'reverse', 'drop'] as const).map((what): [string, Action] => [
      `data-shards/${what}`,
      {
        fields: { moves: 'names', all: 'flag' },
        later: true,
        do: async (actions, [name = ''], { moves, all }) => {
          if ((moves === undefined) === (all !== true))
            throw new BanyanError('BANYAN_INVALID_OPTIONS', 'Say which `moves`, or `all`: true.')
          return { name, moves: await actions.steerDataMoves(name, moves ?? 'all', what) }
        },
      },
    ]),
  ),
}

function movesWishOf({ buckets, to, even, remove, group }: Given): DataMovesWish {
  const grouped = group !== undefined && { group }
  if (even && !buckets && to === undefined) return { even, ...(remove && { remove }), ...grouped }
  if (!even && buckets && to !== undefined && !remove) return { buckets, to, ...grouped }
  throw new BanyanError(
    'BANYAN_INVALID_OPTIONS',
    'Say which `buckets` go `to` which database, or `even`: true, with the databases to `remove`.',
  )
}

function steering(fields: Fields, needs: readonly string[], wish: (given: Given) => ShardWish): Action {
  return {
    fields: { ...fields, by: 'text' },
    needs,
    later: true,
    async do(actions, [name = ''], given) {
      await actions.steerShards(name, wish(given), { by: given.by })
      return { name }
    },
  }
}

/** What a body says, or what is wrong with it. */
export function givenIn(text: string, { fields, needs = [] }: Action): Given | string {
  let given: unknown
  try {
    given = text.trim() === '' ? {} : JSON.parse(text)
  } catch {
    return 'The body must be JSON.'
  }
  if (!isRecord(given)) return 'The body must be an object of JSON.'
  for (const [name, value] of Object.entries(given)) {
    const kind = Object.hasOwn(fields, name) ? fields[name] : undefined
    if (!kind) return `Unknown: ${name}; known are ${Object.keys(fields).join(', ')}.`
    const [isRight, must] = KINDS[kind]
    if (!isRight(value)) return `\`${name}\` must be ${must}.`
  }
  const missing = needs.find((name) => given[name] === undefined)
  if (missing !== undefined) return `\`${missing}\` is missing.`
  return { by: UNNAMED, ...given }
}

const KINDS: Readonly<Record<FieldKind, readonly [isRight: (value: unknown) => boolean, must: string]>> = {
  text: [isName, 'text'],
  number: [Number.isInteger, 'a whole number'],
  duration: [(value) => parseDuration(value) !== undefined, 'a duration such as "10s"'],
  flag: [(value) => typeof value === 'boolean', 'true or false'],
  names: [(value) => Array.isArray(value) && value.every(isName), 'a list of names'],
  numbers: [(value) => Array.isArray(value) && value.every(Number.isInteger), 'a list of whole numbers'],
  weights: [
    (value) => isRecord(value) && Object.values(value).every((weight) => typeof weight === 'number'),
    'an object of names with their weights',
  ],
}

function isName(value: unknown): boolean {
  return typeof value === 'string' && value !== ''
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
