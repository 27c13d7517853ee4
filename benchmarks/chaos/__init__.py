"""The whole service under a seeded schedule of faults, with clients meanwhile: is anything lost?"""
