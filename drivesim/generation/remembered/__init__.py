"""The remembered world: a log's street from wherever the cameras are now, out of its lidar and its photos.

`world.MemoryWorld` is the WorldGenerator (`generation=memory`):

    world = generator.remember(scenario)
    world = world.without(time, gap)            # optional: no photo of any camera with |photo.time - time| <= gap
    frames, world = generator.render(state, world, cameras)

The frames are a pure function of the world (the scene, the memory, which photos may be used) and the state.
"""
