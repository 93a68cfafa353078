/* SPDX-License-Identifier: MIT */
#include "version/text.h"

#ifdef RMT_TEXT_MERGE

#include <dlfcn.h>
#include <git2.h>
#include <pthread.h>
#include <stdio.h>

/* Its structs change with this number: what was built with one must not load another. */
const char rmt_text_library[] = "libgit2.so." LIBGIT2_SOVERSION;

static pthread_once_t load_once = PTHREAD_ONCE_INIT;
static struct {
    __typeof__(git_merge_file) *merge_file; /* NULL: it could not be loaded */
    __typeof__(git_merge_file_result_free) *result_free;
    char why[256]; /* it could not be loaded */
} git;

static void load(void)
{
    void *library = dlopen(rmt_text_library, RTLD_NOW | RTLD_LOCAL);
    __typeof__(git_libgit2_init) *init = NULL;
    __typeof__(git_merge_file) *merge_file = NULL;
    if (library) {
        init = (__typeof__(init))dlsym(library, "git_libgit2_init");
        git.result_free = (__typeof__(git.result_free))dlsym(library, "git_merge_file_result_free");
        merge_file = (__typeof__(merge_file))dlsym(library, "git_merge_file");
    }
    if (!init || !git.result_free || !merge_file) {
        const char *why = dlerror();
        (void)snprintf(git.why, sizeof(git.why), "%s", why ? why : rmt_text_library);
        return;
    }
    if (init() < 0) {
        (void)snprintf(git.why, sizeof(git.why), "%s does not start", rmt_text_library);
        return;
    }
    git.merge_file = merge_file;
}

/* False: bytes that are no text, or too many lines. */
static bool is_text(struct ramet_slice value)
{
    const char *p = value.data, *end = p + value.size;
    if (value.size && memchr(p, '\0', value.size))
        return false;
    for (size_t lines = 0; p < end && (p = memchr(p, '\n', (size_t)(end - p))); p++) {
        if (++lines > RMT_TEXT_LINES_MAX)
            return false;
    }
    return true;
}

static git_merge_file_input input(struct ramet_slice value)
{
    return (git_merge_file_input){
        .version = GIT_MERGE_FILE_INPUT_VERSION, .ptr = value.data, .size = value.size};
}

static void free_result(git_merge_file_result *result)
{
    git.result_free(result);
}
RMT_AUTO_VALUE(free_result, git_merge_file_result)

int rmt_text_merge(const struct ramet_conflict *both, struct rmt_policy_scratch *scratch,
                   struct ramet_slice *out)
{
    struct ramet_slice base = both->base.data ? both->base : rmt_slice("", 0);
    if (!both->ours.data || !both->theirs.data || !is_text(base) || !is_text(both->ours) ||
        !is_text(both->theirs))
        return RAMET_MERGED_CONFLICT;

    (void)pthread_once(&load_once, load);
    if (!git.merge_file)
        return rmt_fail(-EOPNOTSUPP, "merging a text of map '%s' takes libgit2: install it (%s)",
                        both->map, git.why);
    git_merge_file_input inputs[] = {input(base), input(both->ours), input(both->theirs)};
    rmt_auto(free_result) git_merge_file_result merged = {0};
    /* It was given nothing to refuse: what it can lack is memory. */
    if (git.merge_file(&merged, &inputs[0], &inputs[1], &inputs[2], NULL) < 0)
        return rmt_fail(-ENOMEM, "merging a text of map '%s'", both->map);
    if (!merged.automergeable)
        return RAMET_MERGED_CONFLICT;
    int rc = rmt_policy_room(both, scratch, merged.len);
    if (rc < 0)
        return rc;
    if (merged.len)
        memcpy(scratch->bytes.items, merged.ptr, merged.len);
    *out = rmt_slice(scratch->bytes.items, merged.len);
    return RAMET_MERGED_VALUE;
}

#else

const char rmt_text_library[] = "";

int rmt_text_merge(const struct ramet_conflict *both, struct rmt_policy_scratch *scratch,
                   struct ramet_slice *out)
{
    (void)scratch, (void)out;
    if (!both->ours.data || !both->theirs.data)
        return RAMET_MERGED_CONFLICT;
    return rmt_fail(-EOPNOTSUPP,
                    "merging a text of map '%s': this library was built without libgit2 (install "
                    "its headers, and build with: meson configure -Dtext_merge=enabled)",
                    both->map);
}

#endif
