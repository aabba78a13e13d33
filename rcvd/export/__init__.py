"""Writers of a finished scene: types in, files at the given path out.

Every writer writes exactly the path it is given, whatever its suffix, so that a stage can hand in
a temporary name and rename it when done.
"""
