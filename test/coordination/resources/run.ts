import { it } from 'vitest'
import { openResources, type Coordinator, type ResourceApi } from '../../../src/coordination/index.js'
import { resourceApiConformance, type ResourceApiSetup } from '../../../src/testing/index.js'

/** Runs the conformance suite; what does not apply to the API is shown as skipped. */
export function runResourceApiConformance(setup: ResourceApiSetup): void {
  for (const { name, skip, run } of resourceApiConformance(setup))
    if (skip === undefined) it(name, run)
    else it.skip(`${name} (${skip})`)
}

/**
 * Resources over coordinators.
 *
 * @param engine - a fresh engine: each call of `connect` opens another coordinator over its keys
 */
export function coordinated(
  engine: () => Promise<{ connect: () => Promise<Coordinator>; dispose?: () => void }>,
): ResourceApiSetup {
  return {
    can: ['forget', 'bookmark', 'exceed'],
    open: async () => {
      const { connect, dispose } = await engine()
      const coordinators: Coordinator[] = []
      const open = async (): Promise<ResourceApi> => {
        const coordinator = await connect()
        coordinators.push(coordinator)
        return openResources(coordinator, { bookmarkEvery: '500ms' })
      }
      return {
        api: await open(),
        connect: open,
        // What is past is in the memory of those who have seen it.
        tools: { forget: open, bookmark: () => Promise.resolve() },
        dispose: async () => {
          for (const coordinator of coordinators) await coordinator.close()
          dispose?.()
        },
      }
    },
  }
}
