import type { ControllerOptions } from './options.js'

/** What a controller does, apart from where it runs. */
export type ControllerDefinition<Spec = unknown, Status = unknown> = Omit<
  ControllerOptions<Spec, Status>,
  'name' | 'api' | 'informers' | 'election' | 'shards' | 'runtime'
>

/**
 * Says what a controller does, for those who run it: a node (`controllers` of its configuration), tests, or {@link controller} with
 * `{ ...definition, name, api }`. Gives back what it is given; it is there for the types.
 */
export function defineController<Spec, Status>(
  definition: ControllerDefinition<Spec, Status>,
): ControllerDefinition<Spec, Status> {
  return definition
}
