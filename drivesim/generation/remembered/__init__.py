"""The remembered world: a log's street from wherever the cameras are now, out of its lidar and its photos.

`world.MemoryWorld` is the WorldGenerator (`generation=memory`):

    world = generator.remember(scenario)
    world = world.without(time, gap)            # optional: no photo of any camera with |photo.time - time| <= gap
    frames, world = generator.render(state, world, cameras)

The frames are a pure function of the world (the scene, the memory, which photos may be used) and the state.

`owners` put the surfels where their owners are now, `sightings` say which photos may have seen a place, `blend` looks
the pixels up in them (`reference`: the same, plainly), `compose` adds what the layout draws, `fill`s what nobody saw,
and `shadow` and `own_car` do what their names say. `bank` and `eye` hold photos and cameras as kernels want them.
"""
