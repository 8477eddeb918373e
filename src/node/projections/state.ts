import type {
  ParkedRow,
  ProjectionStatus,
  ProjectorStatus,
  Redriven,
  Switched,
  SwitchOptions,
} from '../../events/index.js'

/** What is told of a projection. */
export interface HostedProjectionState {
  name: string
  modules: string[]
  /** Without secrets. */
  store: string
  /** Why the store cannot be asked; then its versions are those that the node knows of. */
  problem?: string
  versions: VersionState[]
}

/** A version of it. */
export interface VersionState {
  version: number
  /** As its store has it, whoever runs it; absent if it is not there, or cannot be asked. */
  stored?: ProjectionStatus
  /** What this node does about it; absent if it does not run it. */
  here?: ProjectorStatus
}

export interface RebuildRequest {
  /** Default: the newest that the modules have. */
  version?: number
  /** Whether it is read as soon as it is built. Default false. */
  switch?: boolean
  /** Builds the version anew that is read, too. Default false. */
  force?: boolean
}

export interface RedriveRequest {
  /** Default: the one that is read. */
  version?: number
  /** Only what is parked under this key. Default: everything. */
  key?: string
}

/** Projections as operators see and move them, in one process or in several. Errors are those of `ReadModels`. */
export interface ProjectionControl {
  list(): Promise<HostedProjectionState[]>
  /** Starts to build a version; resolves when that has begun. */
  rebuild(name: string, request: RebuildRequest): Promise<{ name: string; version: number }>
  switch(name: string, version: number, options: SwitchOptions): Promise<Switched>
  undo(name: string, options: SwitchOptions): Promise<Switched>
  drop(name: string, version: number, force: boolean): Promise<void>
  redrive(name: string, request: RedriveRequest): Promise<Redriven & { version: number }>
  parked(
    name: string,
    version: number | undefined,
    after: string | undefined,
    limit: number,
  ): Promise<{ version: number; parked: ParkedRow[] }>
}
