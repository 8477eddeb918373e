import type { EncodedCommit, LogDriver, Outcome, Page, Query, StoredEvent } from '../../src/events/driver.js'
import type { Bug } from './shared-memory.js'

/** The right outcomes of a group. */
async function append(right: LogDriver, group: readonly EncodedCommit[]): Promise<Outcome[]> {
  return Promise.all((await right.append(group)).map((outcome) => Promise.resolve(outcome)))
}

/** Changes commits on their way in. */
function altered(
  change: (commit: EncodedCommit, right: LogDriver) => EncodedCommit | Promise<EncodedCommit>,
): Bug {
  return (right) => ({
    append: async (group) => {
      const outcomes: Outcome[] = []
      for (const commit of group) outcomes.push(...(await append(right, [await change(commit, right)])))
      return outcomes
    },
  })
}

/** Changes outcomes on their way out. */
function answering(
  change: (outcome: Outcome, right: LogDriver, commit: EncodedCommit) => Promise<Outcome> | Outcome,
): Bug {
  return (right) => ({
    append: async (group) => {
      const outcomes = await append(right, group)
      return Promise.all(outcomes.map(async (outcome, index) => change(outcome, right, group[index]!)))
    },
  })
}

function reading(
  change: (page: Page, query: Query, right: LogDriver) => Page | Promise<Page>,
  ask = (query: Query): Query => query,
): Bug {
  return (right) => ({ read: async (query) => change(await right.read(ask(query)), query, right) })
}

function inStreams(
  commit: EncodedCommit,
  change: (stream: EncodedCommit['streams'][number]) => object,
): EncodedCommit {
  return { ...commit, streams: commit.streams.map((stream) => ({ ...stream, ...change(stream) })) }
}

/** Commits become visible one after the other, but not in the order of their positions: what a plain sequence does. */
const skipsLateCommits: Bug = (right) => {
  const late = new Set<string>()
  let count = 0
  const visible = ({ commit }: StoredEvent): boolean => !late.has(commit)
  return {
    append: async (group) => {
      // The last one is what the suite waits for.
      const slow = group.filter(({ id }) => id !== 'last' && count++ % 3 === 0).map(({ id }) => id)
      for (const id of slow) late.add(id)
      const outcomes = await append(right, group)
      for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
      for (const id of slow) late.delete(id)
      return outcomes
    },
    read: async (query) => {
      const page = await right.read(query)
      return { ...page, events: page.events.filter(visible) }
    },
  }
}

/** Knows the ids of the last commits only: a window for duplicates. */
const forgetsIds: Bug = (right) => {
  const recent: string[] = []
  let generation = 0
  const { append } = altered((commit) => {
    if (recent.includes(commit.id)) return commit
    recent.push(commit.id)
    if (recent.length > 5) recent.shift()
    return generation++ === 0 ? commit : { ...commit, id: `${commit.id}~${generation}` }
  })(right)
  const read = async (query: Query): Promise<Page> => {
    const page = await right.read(query)
    const events = page.events.map((event) => ({ ...event, commit: event.commit.replace(/~\d+$/, '') }))
    return { ...page, events }
  }
  return { append: append!, read }
}

/** Writes the streams that are as expected, and says that the others are not. */
const writesHalves: Bug = (right) => ({
  append: async (group) => {
    const outcomes: Outcome[] = []
    for (const commit of group) {
      const [outcome] = await append(right, [commit])
      if (outcome!.kind === 'conflict') {
        const wrong = new Set(outcome!.conflicts.map(({ stream }) => stream))
        const streams = commit.streams.filter(({ stream }) => !wrong.has(stream))
        await append(right, [{ ...commit, streams, checks: [] }])
      }
      outcomes.push(outcome!)
    }
    return outcomes
  },
})

/** Drivers that break one promise each, and the case that finds it. */
/** Followers would take what others have appended for a part of that group. */
const answersWithEndOfGroup: Bug = (right) => ({
  consecutive: true,
  append: async (group) => {
    const outcomes = await append(right, group)
    const head = await right.head()
    return outcomes.map((outcome) => (outcome.kind === 'appended' ? { ...outcome, position: head } : outcome))
  },
})

export const BUGS: Record<string, { bug: Bug; losesLastGroup?: boolean; foundBy: string }> = {
  'says that positions are consecutive, and answers with where its group ends': {
    bug: answersWithEndOfGroup,
    foundBy: 'driver: positions are consecutive',
  },
  'skips late commits': { bug: skipsLateCommits, foundBy: 'followers at the end of the log under load' },
  'forgets ids': { bug: forgetsIds, foundBy: 'the same commit again gives the first result, whatever' },
  'acknowledges before it is durable': {
    bug: () => ({}),
    losesLastGroup: true,
    foundBy: 'everything is there after a restart',
  },
  'acknowledges while closing before it is durable': {
    bug: () => ({}),
    losesLastGroup: true,
    foundBy: 'after close during appends',
  },
  'writes halves of commits': {
    bug: writesHalves,
    foundBy: 'a commit is appended to all of its streams or to none',
  },
  'names only the first conflict': {
    bug: answering((outcome) =>
      outcome.kind === 'conflict' ? { ...outcome, conflicts: outcome.conflicts.slice(0, 1) } : outcome,
    ),
    foundBy: 'a commit is appended to all of its streams or to none',
  },
  'does not check none and exists': {
    bug: altered((commit) =>
      inStreams(commit, ({ expected }) => ({ expected: typeof expected === 'number' ? expected : 'any' })),
    ),
    foundBy: 'refuses with the actual revision',
  },
  'takes a revision from the future': {
    bug: altered(async (commit, right) => {
      const actual = await right.revision(commit.streams[0]?.stream ?? '')
      return inStreams(commit, ({ expected }) => ({
        expected: typeof expected === 'number' && actual !== 'none' && expected > actual ? 'any' : expected,
      }))
    }),
    foundBy: 'refuses with the actual revision',
  },
  'ignores checks': {
    bug: altered((commit) => ({ ...commit, checks: [] })),
    foundBy: 'checks look at streams that are not written',
  },
  'takes the ids of pure checks': {
    bug: altered((commit) =>
      commit.streams.length > 0
        ? commit
        : { ...commit, streams: [{ stream: 'checks', category: 'checks', expected: 'any', events: [] }] },
    ),
    foundBy: 'a commit without events only checks',
  },
  'looks at expectations before ids': {
    bug: (right) => ({
      append: async (group) => {
        const outcomes: Outcome[] = []
        for (const commit of group) {
          const [checked] = await append(right, [
            {
              ...commit,
              id: `check ${commit.id}`,
              streams: [],
              checks: [...commit.streams, ...commit.checks],
            },
          ])
          outcomes.push(checked!.kind === 'conflict' ? checked! : (await append(right, [commit]))[0]!)
        }
        return outcomes
      },
    }),
    foundBy: 'the same commit again gives the first result, whatever',
  },
  'answers a repetition with the head': {
    bug: answering(async (outcome, right) =>
      outcome.kind === 'appended' && outcome.duplicate
        ? { ...outcome, position: await right.head() }
        : outcome,
    ),
    foundBy: 'the same commit again gives the first result, whatever',
  },
  'takes another commit under a taken id for a repetition': {
    bug: altered((commit) => ({ ...commit, digest: 1 })),
    foundBy: 'another commit under a taken id',
  },
  'does not keep ids of events apart': {
    bug: altered((commit) =>
      inStreams(commit, ({ events }) => ({ events: events.map((event) => ({ ...event, id: undefined })) })),
    ),
    foundBy: 'ids of events are taken once',
  },
  'remembers what it refused': {
    bug: (right) => {
      const refused = new Map<string, Outcome>()
      return answering((outcome, _, commit) => {
        const before = refused.get(commit.id)
        if (outcome.kind === 'conflict') refused.set(commit.id, outcome)
        return before ?? outcome
      })(right)
    },
    foundBy: 'a refused commit leaves its id',
  },
  'appends groups backwards': {
    bug: (right) => ({ append: async (group) => (await append(right, group.toReversed())).reverse() }),
    foundBy: 'concurrent appends of one caller',
  },
  'takes the prefix of a name for its category': {
    bug: (right) => ({
      read: async (query) => {
        if (query.category === undefined) return right.read(query)
        const { category, ...rest } = query
        const page = await right.read({ ...rest, limit: 10_000 })
        const events = page.events.filter(({ stream }) => stream.startsWith(category)).slice(0, query.limit)
        return events.length < query.limit
          ? { ...page, events }
          : { ...page, events, end: false, position: events.at(-1)!.position }
      },
    }),
    foundBy: 'reads by stream, category, tags and types',
  },
  'takes one tag for all': {
    bug: reading(
      (page) => page,
      (query) => (query.tags ? { ...query, tags: query.tags.slice(0, 1) } : query),
    ),
    foundBy: 'reads by stream, category, tags and types',
  },
  'steps over an event between pages': {
    bug: reading(async (page, query, right) => {
      if (page.end || query.backwards) return page
      const next = await right.read({ ...query, after: page.position, limit: 1 })
      return { ...page, position: next.position }
    }),
    foundBy: 'reads more than a page',
  },
  'reads backwards from before': {
    bug: reading((page, query) =>
      query.backwards && query.before !== undefined && !page.end
        ? { ...page, events: page.events.slice(1) }
        : page,
    ),
    foundBy: 'reads more than a page',
  },
  'says the end too early': {
    bug: reading((page, query) => (page.events.length === query.limit ? { ...page, end: true } : page)),
    foundBy: 'reads more than a page',
  },
  'folds names': {
    bug: (right) => ({ revision: (stream) => right.revision(stream.toLowerCase()) }),
    foundBy: 'keeps streams with any name apart',
  },
  'normalises names': {
    bug: altered((commit) => inStreams(commit, ({ stream }) => ({ stream: stream.normalize('NFC') }))),
    foundBy: 'keeps streams with any name apart',
  },
  'trims names': {
    bug: altered((commit) => inStreams(commit, ({ stream }) => ({ stream: stream.trimEnd() || stream }))),
    foundBy: 'keeps streams with any name apart',
  },
  'stores text without NUL': {
    bug: altered((commit) =>
      inStreams(commit, ({ events }) => ({
        events: events.map((event) => ({
          ...event,
          data: typeof event.data === 'string' ? event.data.replaceAll('\\u0000', '') : event.data,
        })),
      })),
    ),
    foundBy: 'keeps data as it was appended',
  },
  'gives bytes back as text': {
    bug: reading((page) => ({
      ...page,
      events: page.events.map((event) => ({
        ...event,
        data: event.data instanceof Uint8Array ? Buffer.from(event.data).toString() : event.data,
      })),
    })),
    foundBy: 'keeps data as it was appended',
  },
  'records by the clock': {
    bug: (right) => {
      const times = new Map<string, number>()
      return {
        append: (group) => {
          for (const { id, recorded } of group) times.set(id, recorded)
          return right.append(group)
        },
        read: async (query) => {
          const page = await right.read(query)
          return {
            ...page,
            events: page.events.map((event) => ({ ...event, recorded: times.get(event.commit) ?? 0 })),
          }
        },
      }
    },
    foundBy: 'the time of recording never falls',
  },
  'does not tell of truncation': {
    bug: reading((page) => ({ ...page, truncated: false })),
    foundBy: 'a follower behind truncated events',
  },
  'tells everybody of truncation': {
    bug: reading((page) => ({ ...page, truncated: true })),
    foundBy: 'a follower behind truncated events',
  },
  'counts a truncated stream anew': {
    bug: (right) => ({
      revision: async (stream) => {
        const left = await right.read({ stream, after: '0', limit: 1, backwards: false })
        return left.events.length === 0 ? 'none' : right.revision(stream)
      },
    }),
    foundBy: 'truncates a stream below a revision',
  },
  'ignores holds': {
    bug: () => ({ hold: () => Promise.resolve() }),
    foundBy: 'what a hold keeps is not removed',
  },
  'heeds holds where a pattern forgets': {
    bug: (right) => ({
      truncate: (what) => right.truncate('stream' in what ? { ...what, forget: false } : what),
    }),
    foundBy: 'what a pattern forgets of its state goes',
  },
  'remembers what a pattern forgets': {
    bug: (right) => ({
      truncate: async (what) => {
        const { removed } = await right.truncate('stream' in what ? { ...what, forget: false } : what)
        const result = await right.truncate(what)
        return { ...result, removed: removed + result.removed }
      },
    }),
    foundBy: 'ids are forgotten with the last of their commit',
  },
  'truncates one too many': {
    bug: (right) => ({
      truncate: (what) =>
        right.truncate('stream' in what ? { ...what, beforeRevision: what.beforeRevision + 1 } : what),
    }),
    foundBy: 'truncates a stream below a revision',
  },
  'takes anything for a position': {
    bug: reading(
      (page) => page,
      (query) => ({ ...query, after: /^\d{16}$/.test(query.after) ? query.after : '0' }),
    ),
    foundBy: 'refuses what is not a position',
  },
  'lists a stream twice': {
    bug: (right) => ({
      streams: async (query) => {
        const found = await right.streams(query)
        return query.after === undefined ? found : [...found.slice(0, 1), ...found].slice(0, query.limit)
      },
    }),
    foundBy: 'lists streams by category',
  },
  'reads ahead of what is asked': {
    bug: (right) => ({ read: (query) => right.read({ ...query, limit: query.limit * 2 }) }),
    foundBy: 'a follower reads the next page only',
  },
  'finds the wrong time': {
    bug: (right) => ({ positionAt: (time) => right.positionAt(time + 1) }),
    foundBy: 'the time of recording never falls',
  },
  'stays in changed() when the signal aborts': {
    bug: () => ({
      changed: (_, signal) =>
        signal.aborted
          ? Promise.reject(new Error('aborted'))
          : new Promise((resolve, reject) =>
              signal.addEventListener('abort', () => reject(new Error('aborted')), { once: true }),
            ),
    }),
    foundBy: 'the signal ends a follower quietly',
  },
}
