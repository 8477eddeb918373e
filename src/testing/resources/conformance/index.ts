/**
 * The conformance suite of `ResourceApi`: half of the definition of that port. Every law of it is a case, that runs on fresh
 * resources and says what was broken.
 */
import type { ResourceApi } from '../../../coordination/resources/api.js'
import type { ResourceDefinition } from '../../../coordination/resources/define.js'
import type { ConformanceCase } from '../../conformance/setup.js'
import { freshSeed, replayHint, seedOfEnvironment } from '../../seed.js'
import { deletionCases } from './deletion.js'
import { dryRunCases } from './dry-run.js'
import { excessCases } from './excess.js'
import { Pool, Promotion, Region } from './kinds.js'
import { listCases } from './lists.js'
import { pageCases } from './pages.js'
import { patchCases } from './patches.js'
import { raceCases } from './races.js'
import { refusalCases } from './refusals.js'
import { scaleCases } from './scales.js'
import type { ResourceApiSetup, ResourceCase } from './setup.js'
import { watchCases } from './watches.js'
import { writeCases } from './writes.js'

export type { ResourceApiSetup, ResourceApiTools, ResourceApiUnderTest } from './setup.js'

const CASES: readonly ResourceCase[] = [
  ...writeCases,
  ...refusalCases,
  ...patchCases,
  ...scaleCases,
  ...deletionCases,
  ...dryRunCases,
  ...listCases,
  ...pageCases,
  ...watchCases,
  ...raceCases,
  ...excessCases,
]

/** The kinds that {@link resourceApiConformance} uses: an API that has to know them before serves these. */
export const conformanceKinds: readonly ResourceDefinition[] = [Promotion, Region, Pool]

/**
 * The cases that a `ResourceApi` must pass, for any test framework to loop over:
 *
 * ```ts
 * for (const { name, skip, run } of resourceApiConformance({ can, open })) test(name, { skip }, run)
 * ```
 *
 * They may run side by side if `open` gives resources of their own to each. Random calls are drawn from `BANYAN_SEED` if it is
 * set, otherwise from a seed of their own that the error names.
 */
export function resourceApiConformance(setup: ResourceApiSetup): ConformanceCase[] {
  const { can = [] } = setup
  return CASES.map(({ name, needs, run }) => ({
    name,
    ...(needs !== undefined &&
      !can.includes(needs) && { skip: `this API cannot be made to do it (${needs})` }),
    run: () => runCase(setup, run),
  }))
}

async function runCase(setup: ResourceApiSetup, run: ResourceCase['run']): Promise<void> {
  const subject = await setup.open()
  const opened = [subject.api]
  const track = async (opening: Promise<ResourceApi>): Promise<ResourceApi> => {
    const api = await opening
    opened.push(api)
    return api
  }
  const seed = seedOfEnvironment() ?? freshSeed()
  try {
    await run({
      api: subject.api,
      another: () => track(subject.connect()),
      tool: (name) => {
        const tool = subject.tools?.[name]
        if (!tool) throw new Error(`the setup says that ${name} can be done, and does not bring it`)
        return (name === 'forget' ? () => track((tool as () => Promise<ResourceApi>)()) : tool) as never
      },
      seed,
    })
  } catch (error) {
    if (error instanceof Error) error.message += ` (${replayHint(seed)})`
    throw error
  } finally {
    for (const api of opened) await api.close()
    await subject.dispose?.()
  }
}
