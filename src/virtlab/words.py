"""Words to draw from: short, easy to type, none in both lists. Changing one changes what learners have."""

from __future__ import annotations

NOUNS = """
acorn anchor apple apron arrow badger bakery balcony bamboo barley basket beacon beaver bellows
birch bonfire bottle brook bucket burrow butter button cabin camel candle canoe canyon carpet castle
cedar cellar chimney cider clover cobble comet compass copper coral cradle crane cricket crystal
curtain dolphin donkey dragon drummer eagle ember engine falcon feather fennel ferry fiddle flagon
flint forest fountain fox garlic garnet ginger glacier goblet granite gravel hammer hamlet harbour
harvest hazel hedge heron hollow honey hornet island ivory jasmine juniper kettle kitten ladder
lantern lemon lighthouse lily linden lizard lobster locket magpie mango maple marble market meadow
melon mirror mitten monsoon mortar mosaic mustard nettle nutmeg oasis olive orchard otter owl paddle
paper parsley peacock pebble pelican pepper piano pigeon pillow pine plum pocket pollen pony poppy
pumpkin quarry quilt rabbit raft raven reed ribbon river robin rocket rooster saddle saffron sailor
salmon sandal saucer scarf seagull shadow shovel silver sparrow spider spruce squirrel stable
starling stove summit swallow tailor teapot thicket thimble thunder tiger tulip tunnel turnip turtle
umbrella valley velvet violet violin waffle walnut willow window winter wizard yarrow zebra
""".split()  # noqa: SIM905
ADJECTIVES = """
amber ancient bold brave bright calm clever crimson curious distant eager early emerald fading
gentle golden hidden humble idle jolly kind lonely lucky mellow midnight modest nimble patient
polite proud purple quiet rapid restless royal rusty scarlet secret silent sleepy smooth solemn
stormy sunny tiny twilight wandering warm wild winding wise young
""".split()  # noqa: SIM905
